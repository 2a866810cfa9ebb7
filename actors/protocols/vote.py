"""`vote`: closed answers, majority weighted by confidence, no more samples than needed.

Every seat answers; then seats answer again, with other seeds, only while the result is open
(`actors/deliberations/answers.py` names the sources). When all `samples` are drawn and no answer
has half of the weight, one round follows in which the seats see the answers given (debate only
when split: iMAD, arXiv 2511.11306). At most `samples` answers, by default five a seat, and N more.
"""

from actors.deliberations import answers, prompts
from actors.deliberations.deliberation import Conclude, OpenRound, State
from actors.protocols import election
from actors.protocols.rules import Place, Prompt, Standing
from schemas.agent import AgentResponse, Stage
from schemas.council import Seat

SAMPLES_PER_SEAT = 5
QUOTED = 200
SHOWN = 5
"""Distinct answers shown when the council is split."""


class Vote:
    """See the module."""

    first: Stage = "answer"

    def prompt(self, state: State, seat: Seat) -> Prompt:
        """See `Rules`."""
        schema = state.opened.request.response_schema
        ask = prompts.ANSWER if schema is None else prompts.ANSWER_JSON
        if state.round.stage == "answer":
            return Prompt(ask, schema=schema)
        texts = [
            (chr(ord("A") + number), row.best.content[: election.PEER_CHARACTERS])
            for number, row in enumerate(answers.tally(state.texts("answer"))[:SHOWN])
        ]
        block = prompts.material_block("Answers", texts, election.marker(state, seat.id))
        return Prompt(prompts.RECONSIDER + ask, (block,), schema)

    def decided(self, state: State) -> bool:
        """See `Rules`."""
        return state.round.stage == "answer" and answers.stays_ahead(_rows(state), _left(state))

    def next(self, state: State) -> OpenRound | Conclude:
        """See `Rules`."""
        rows = _rows(state)
        seats = tuple(seat.id for seat in state.opened.seats)
        if state.round.stage == "answer":
            undrawn = undrawn_samples(state)
            if undrawn and not answers.stays_ahead(rows, undrawn):
                return OpenRound("answer", seats[:undrawn])
            if not undrawn and _split(rows):
                return OpenRound("reconsider", seats)
        if not rows:
            return Conclude("FAILED", "no sample held an answer")
        return Conclude("COMPLETED")

    def standing(self, state: State) -> Standing:
        """See `Rules`: one place a distinct answer, its most confident sample speaking for it."""
        rows = _rows(state)
        if not rows:
            return Standing((), "")
        total = sum(row.weight for row in rows) or 1.0  # of samples of no confidence at all
        places = tuple(Place(row.best, round(row.weight / total, 4)) for row in rows)
        first = rows[0]
        votes = sum(row.votes for row in rows)
        return Standing(
            places,
            f"answer {first.answer[:QUOTED]!r}: {first.votes} of {votes} samples,"
            f" {places[0].score:.0%} of their weight",
        )


def drawn(state: State) -> int:
    """Samples asked for so far, those of failed seats included."""
    return sum(len(opened.seats) for opened in state.rounds if opened.stage == "answer")


def undrawn_samples(state: State) -> int:
    """Samples that may still be asked for."""
    most = state.opened.request.samples or SAMPLES_PER_SEAT * len(state.opened.seats)
    return max(most - drawn(state), 0)


def _left(state: State) -> int:
    silent = len(state.round.seats) - len(state.answers_in(state.round.round))
    return undrawn_samples(state) + silent


def samples(state: State) -> tuple[AgentResponse, ...]:
    """Every sample drawn, those of a last round included."""
    return state.texts("answer", "reconsider")


def _rows(state: State) -> tuple[answers.Tallied, ...]:
    return answers.tally(samples(state))


def _split(rows: tuple[answers.Tallied, ...]) -> bool:
    return len(rows) > 1 and rows[0].weight <= sum(row.weight for row in rows) / 2
