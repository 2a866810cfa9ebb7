"""Counting a seat as failed on its behalf, when nobody is left who could say so for it."""

from contextlib import suppress

from actors.bus import Bus, BusError
from actors.deliberations.responses import message_id
from schemas.agent import AgentRequest, AgentResponse, SeatFailure
from schemas.codec import encode
from schemas.progress import SeatFailed
from subjects import names


async def fail_seat(
    bus: Bus, request: AgentRequest, code: str, message: str, *, now_ms: int
) -> bool:
    """Store a failed response for the seat, as its agent would; its own, if first, stands.

    Returns whether it was new. Raises Unavailable.
    """
    failure = SeatFailure(code=code, message=message[:2_000])
    response = AgentResponse(
        task_id=request.task_id,
        round=request.round,
        seat=request.seat,
        token=request.token,
        created_at_ms=now_ms,
        failure=failure,
    )
    subject = names.agent_response(request.task_id)
    stored = await bus.store(subject, encode(response), message_id=message_id(request))
    event = SeatFailed(
        task_id=request.task_id, round=request.round, seat=request.seat, failure=failure
    )
    with suppress(BusError):  # whoever watches sees it in the result
        await bus.publish(names.progress(request.task_id), encode(event))
    return not stored.duplicate
