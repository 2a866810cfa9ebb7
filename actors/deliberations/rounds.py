"""Rounds, the same for every protocol: whom to ask, when a round is settled, what to do then.

A round is settled when every seat asked has answered or failed; when `quorum` seats have
answered and `grace_ms` more have passed; when `seat_timeout_seconds` have; or when nothing that
is outstanding can change the winner. Who is silent then has abstained.
"""

import zlib

from msgspec import Struct
from msgspec.structs import replace

from actors.deliberations import prompts
from actors.deliberations.deliberation import Conclude, OpenRound, State
from actors.deliberations.tokens import token
from actors.protocols import PROTOCOLS
from schemas.agent import AgentRequest
from schemas.council import Sampling, Seat
from schemas.deliberation import Opened


class Ask(Struct, frozen=True):
    """A request for one seat and the queue of the agents that serve it."""

    queue: str
    request: AgentRequest


class Decision(Struct, frozen=True):
    """What to do now, if anything, and when to look again (epoch ms)."""

    command: OpenRound | Conclude | None
    look_again_ms: int


def asks(state: State) -> tuple[Ask, ...]:
    """The requests of the round under way, one for each seat asked."""
    opened, request = state.opened, state.opened.request
    rules = PROTOCOLS[request.protocol]
    constraints = request.constraints
    task = prompts.task_block(
        request.task_description, request.context, constraints.requirements, constraints.rubric
    )
    deadline_ms = min(opened.deadline_ms, round_deadline_ms(state))
    made = []
    for number, seat in enumerate(opened.seats):
        if seat.id not in state.round.seats:
            continue
        prompt = rules.prompt(state, seat)
        own = prompts.seat_block(request.role, seat.persona, prompt.instruction)
        ask = AgentRequest(
            task_id=opened.task_id,
            round=state.round.round,
            seat=seat.id,
            role=request.role,
            stage=state.round.stage,
            messages=prompts.chat(task, prompt.materials, own),
            sampling=sampling_for(opened, seat, number, state.round.round),
            created_at_ms=state.round.opened_at_ms,
            deadline_ms=deadline_ms,
            priority=request.priority,
            response_schema=prompt.schema,
            token=token(opened.secret, opened.task_id, state.round.round, seat.id),
        )
        made.append(Ask(queue=seat.queue_in(request.role), request=ask))
    return tuple(made)


def round_deadline_ms(state: State) -> int:
    """When the seats of this round have had their time; the deliberation's end if none is set."""
    seconds = state.opened.request.constraints.seat_timeout_seconds
    if seconds is None:
        return state.opened.deadline_ms
    return state.round.opened_at_ms + int(seconds * 1000)


def decide(state: State, now_ms: int) -> Decision:
    """What is to be done at `now_ms`; nothing for a deliberation that is over."""
    deadline_ms = state.opened.deadline_ms
    if state.over:
        return Decision(None, deadline_ms)
    if (refused := state.opened.refused) is not None:
        return Decision(Conclude("FAILED", f"{refused.code}: {refused.message}"), deadline_ms)
    if now_ms >= deadline_ms:
        text = "the deadline passed before the council had finished"
        return Decision(Conclude("TIMEOUT", text), deadline_ms)
    rules = PROTOCOLS[state.opened.request.protocol]
    settled_ms = _settled_ms(state)
    if now_ms >= settled_ms or rules.decided(state):
        return Decision(rules.next(state), deadline_ms)
    return Decision(None, min(settled_ms, deadline_ms))


def _settled_ms(state: State) -> int:
    """From when on this round needs no further answer; 0 when everybody has spoken."""
    number, request = state.round.round, state.opened.request
    said = [
        (answer, heard_ms)
        for answer, heard_ms in zip(state.answers, state.heard_ms, strict=True)
        if answer.round == number
    ]
    if len(said) == len(state.round.seats):
        return 0
    settled_ms = round_deadline_ms(state)
    good = [heard_ms for answer, heard_ms in said if answer.failure is None]
    quorum = request.quorum
    if quorum is not None and len(good) >= min(quorum, len(state.round.seats)):
        last_needed = sorted(good)[min(quorum, len(state.round.seats)) - 1]
        settled_ms = min(settled_ms, last_needed + request.grace_ms)
    return settled_ms


def sampling_for(opened: Opened, seat: Seat, number: int, round_number: int) -> Sampling:
    """The request's sampling over the seat's own, with a seed of the seat's and round's own.

    A caller's seed is counted up by seat and round; else the seed follows from task, seat and
    round, so that a redelivered request gives the same text again.
    """
    asked, own = opened.request.sampling, seat.sampling or Sampling()
    merged = {
        name: value if (value := getattr(asked, name)) not in (None, ()) else getattr(own, name)
        for name in Sampling.__struct_fields__
    }
    step = number + round_number * len(opened.seats)
    if merged["seed"] is not None:
        merged["seed"] = (merged["seed"] + step) % 2**31
    else:
        name = f"{opened.task_id}/{seat.id}/{round_number}"
        merged["seed"] = zlib.crc32(name.encode()) % 2**31
    return replace(own, **merged)
