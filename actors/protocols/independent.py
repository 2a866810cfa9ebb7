"""`independent`: every seat proposes once, at the same time, and none sees another's text.

Ranked by agreement: the proposal most similar to all others is first, which is
minimum-Bayes-risk selection over samples (Eikema and Aziz 2020); then by mean token
log-probability, then by seat order. N messages out, N back; N proposals' tokens.
"""

import zlib

from msgspec.structs import replace

from actors import prompts, quality
from actors.deliberation import Conclude, State
from actors.protocols.rules import Ask, Place, Standing
from schemas.agent import AgentRequest, AgentResponse
from schemas.council import Sampling, Seat
from schemas.deliberation import DeliberationRequest, Opened

ROUND = 0


class Independent:
    """See the module."""

    def asks(self, opened: Opened) -> tuple[Ask, ...]:
        """See `Rules.asks`."""
        request = opened.request
        constraints = request.constraints
        task = prompts.task_block(
            request.task_description, request.context, constraints.requirements, constraints.rubric
        )
        return tuple(
            Ask(
                queue=seat.queue or request.role,
                request=AgentRequest(
                    task_id=opened.task_id,
                    round=ROUND,
                    seat=seat.id,
                    role=request.role,
                    stage="propose",
                    messages=prompts.chat(
                        task,
                        (),
                        prompts.seat_block(request.role, seat.persona, prompts.PROPOSE),
                    ),
                    sampling=sampling_for(opened, seat, number),
                    created_at_ms=opened.opened_at_ms,
                    deadline_ms=opened.deadline_ms,
                    priority=request.priority,
                    response_schema=request.response_schema,
                ),
            )
            for number, seat in enumerate(opened.seats)
        )

    def decide(self, state: State) -> Conclude | None:
        """See `Rules.decide`: over when no seat is silent, failed when none proposed."""
        if len(state.answers) < len(state.opened.seats):
            return None
        if all(answer.failure is not None for answer in state.answers):
            return Conclude("FAILED", "every seat failed")
        return Conclude("COMPLETED")

    def standing(self, state: State) -> Standing:
        """See `Rules.standing`."""
        order = {seat.id: number for number, seat in enumerate(state.opened.seats)}
        answers = sorted(
            (answer for answer in state.answers if answer.failure is None),
            key=lambda answer: order[answer.seat],
        )
        return rank(answers, state.opened.request)


def rank(answers: list[AgentResponse], request: DeliberationRequest) -> Standing:
    """Rank answers, given in seat order, by agreement, then log-probability, then that order."""
    contents = [quality.content(answer.content, request.task_description) for answer in answers]
    scores = [round(score, 4) for score in quality.agreement(contents)]
    places = sorted(
        (Place(answer, score) for answer, score in zip(answers, scores, strict=True)),
        key=lambda place: (-place.score, -_confidence(place.answer)),
    )
    return Standing(tuple(places), _reason(places))


def _confidence(answer: AgentResponse) -> float:
    return answer.logprob if answer.logprob is not None else float("-inf")


def _reason(places: list[Place]) -> str:
    if not places:
        return ""
    if len(places) == 1:
        return "the only proposal; there was no other to agree with, so its score is 0"
    first, second = places[0], places[1]
    if first.score > second.score:
        return (
            f"closest to the other proposals: mean similarity {first.score:.2f},"
            f" next is {second.answer.seat} with {second.score:.2f}"
        )
    tie = f"agreement tied at {first.score:.2f} with {second.answer.seat}"
    if _confidence(first.answer) > _confidence(second.answer):
        return f"{tie}; higher mean token log-probability ({first.answer.logprob:.3f})"
    return f"{tie}; earlier seat"


def sampling_for(opened: Opened, seat: Seat, number: int) -> Sampling:
    """The request's sampling over the seat's own, with a seed of the seat's own.

    A caller's seed is counted up by seat; else the seed follows from task and seat, so that a
    redelivered request gives the same text again.
    """
    asked, own = opened.request.sampling, seat.sampling or Sampling()
    merged = {
        name: value if (value := getattr(asked, name)) not in (None, ()) else getattr(own, name)
        for name in Sampling.__struct_fields__
    }
    if asked.seed is not None:
        merged["seed"] = (asked.seed + number) % 2**31
    elif merged["seed"] is None:
        merged["seed"] = zlib.crc32(f"{opened.task_id}/{seat.id}".encode()) % 2**31
    return replace(own, **merged)
