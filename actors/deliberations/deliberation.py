"""A deliberation as a fold over its events: what is known, round by round.

No input or output, no clock, no randomness. The same events give the same state, so a
deliberation can be tested without NATS, rebuilt after a crash and replayed later.
"""

from msgspec import Struct
from msgspec.structs import replace

from actors.deliberations import responses
from actors.deliberations.responses import Objection
from schemas.agent import AgentResponse, Stage
from schemas.deliberation import Opened, RoundOpened, Status


class State(Struct, frozen=True):
    """What the events up to now say. `answers` holds one response per round and seat.

    `heard_ms` tells when each answer was stored, in epoch ms; `rounds` begins with round 0,
    which the opening opened.
    """

    opened: Opened
    rounds: tuple[RoundOpened, ...]
    answers: tuple[AgentResponse, ...] = ()
    heard_ms: tuple[int, ...] = ()
    over: bool = False
    ignored: int = 0
    """Events that changed nothing: doubles, strangers, late ones."""

    @property
    def round(self) -> RoundOpened:
        """The round under way."""
        return self.rounds[-1]

    def answers_in(self, round_number: int) -> tuple[AgentResponse, ...]:
        """What was said in a round, failures included, in the order of the seats."""
        said = {each.seat: each for each in self.answers if each.round == round_number}
        return tuple(said[seat.id] for seat in self.opened.seats if seat.id in said)

    def texts(self, *stages: Stage) -> tuple[AgentResponse, ...]:
        """Answers that are no failures, of the rounds of these stages, in round and seat order."""
        return tuple(
            answer
            for opened in self.rounds
            if opened.stage in stages
            for answer in self.answers_in(opened.round)
            if answer.failure is None
        )


class OpenRound(Struct, frozen=True):
    """The decision to go on: who is asked for what next."""

    stage: Stage
    seats: tuple[str, ...]


class Conclude(Struct, frozen=True):
    """The decision to end a deliberation, and the sentence why, if it is no success."""

    status: Status
    reason: str = ""


def begin(opened: Opened, stage: Stage) -> State:
    """The state after the first event; every seat is asked for `stage` in round 0."""
    first = RoundOpened(
        task_id=opened.task_id,
        round=0,
        stage=stage,
        seats=tuple(seat.id for seat in opened.seats),
        heard=0,
        opened_at_ms=opened.opened_at_ms,
    )
    return State(opened, (first,))


def objection(state: State, response: AgentResponse) -> Objection | None:
    """Why a response does not count now, or None if it does."""
    if state.over:
        return "not_open"
    known = any(
        answer.seat == response.seat and answer.round == response.round for answer in state.answers
    )
    return responses.objection(state.opened, state.rounds, known, response)


def respond(state: State, response: AgentResponse, stored_ms: int) -> State:
    """The state after a seat's response: the first per round and seat counts, the rest do not.

    A response to a round that is past is kept out as well: the next one follows without it.
    """
    if objection(state, response) is not None:
        return replace(state, ignored=state.ignored + 1)
    return replace(
        state,
        answers=(*state.answers, responses.bounded(state.opened, response)),
        heard_ms=(*state.heard_ms, stored_ms),
    )


def advance(state: State, opened: RoundOpened) -> State:
    """The state after a further round was opened; one out of turn changes nothing.

    Answers that came between the decision and its storing are left out, as they were then.
    """
    if state.over or opened.round != state.round.round + 1:
        return replace(state, ignored=state.ignored + 1)
    return replace(
        state,
        rounds=(*state.rounds, opened),
        answers=state.answers[: opened.heard],
        heard_ms=state.heard_ms[: opened.heard],
        ignored=state.ignored + len(state.answers[opened.heard :]),
    )


def end(state: State, heard: int | None = None) -> State:
    """The state after the outcome is stored, by whomever, from the first `heard` answers."""
    return replace(state, answers=state.answers[:heard], heard_ms=state.heard_ms[:heard], over=True)
