"""Small deliberations, made by hand."""

from typing import Any

from actors.deliberations.deliberation import State, begin, respond
from actors.protocols import PROTOCOLS
from schemas.agent import AgentResponse, SeatFailure, Usage
from schemas.council import Seat
from schemas.deliberation import DeliberationRequest, Opened

TASK = "How should the billing client retry a failed payment?"


def opened(seats: int = 3, *, task_id: str = "t-1", **request: Any) -> Opened:
    """A deliberation of seats s1, s2, … that began at 1,000 ms and ends at 301,000 ms."""
    request = {"task_description": TASK, "role": "DEV", "protocol": "independent"} | request
    return Opened(
        task_id=task_id,
        request=DeliberationRequest(**request),
        seats=tuple(Seat(id=f"s{number}", persona="plain") for number in range(1, seats + 1)),
        opened_at_ms=1_000,
        deadline_ms=301_000,
    )


def begun(asked: Opened) -> State:
    """The state after an opening alone."""
    return begin(asked, PROTOCOLS[asked.request.protocol].first)


def after(*events: AgentResponse, seats: int = 3, **request: Any) -> State:
    """The state after these responses, the first stored at 1,001 ms, one a millisecond."""
    state = begun(opened(seats, **request))
    for stored_ms, event in enumerate(events, 1_001):
        state = respond(state, event, stored_ms)
    return state


def answer(seat: str, content: str = "", **fields: Any) -> AgentResponse:
    """A seat's answer, with text of its own unless given."""
    fields = {"task_id": "t-1", "round": 0, "usage": Usage(completion_tokens=2)} | fields
    return AgentResponse(seat=seat, content=content or f"keep a ledger, says {seat}", **fields)


def failure(seat: str, code: str = "internal") -> AgentResponse:
    """A seat that could not answer."""
    return answer(seat, failure=SeatFailure(code=code, message="it broke"))
