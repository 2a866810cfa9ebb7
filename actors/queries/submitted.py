"""A submission before anybody opened it: what can be told of it while nobody is home."""

from actors.bus import Bus
from actors.intake import opening
from schemas.codec import read
from schemas.deliberation import DeliberationRequest
from schemas.errors import BadMessage, Refused
from schemas.result import Deliberation
from subjects import names
from subjects.streams import DELIBERATIONS


async def submitted(bus: Bus, task_id: str) -> Deliberation:
    """What is known of a task that is not opened: PENDING, from its first submission.

    Raises Refused when nobody submitted it, Unavailable.
    """
    found = await bus.scan(DELIBERATIONS, names.submission(task_id), batch=1)
    if not found:
        raise Refused("unknown_task", f"no deliberation {task_id}", "$.task_id")
    record = found[0]
    birth = opening.Birth(
        task_id=task_id, secret="", now_ms=record.stored_ms, submitted_at_ms=record.stored_ms
    )
    try:
        request = read(DeliberationRequest, record.body, record.headers)
    except BadMessage:
        request = None
    # It may yet be found wanting; its times are the same either way.
    opened = opening.refused(record.body, request, Refused("internal", "not opened"), birth)
    return Deliberation(
        task_id=task_id,
        role=opened.request.role,
        protocol=opened.request.protocol,
        status="PENDING",
        created_at_ms=opened.asked_at_ms,
        deadline_ms=opened.deadline_ms,
    )
