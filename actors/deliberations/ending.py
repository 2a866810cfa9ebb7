"""Ending a deliberation from outside its fold: one outcome, whoever is first."""

import secrets

from actors.bus import Bus, Conflict, Record
from actors.deliberations import history, outcome
from schemas.deliberation import Status
from subjects import names

ENDED_BY = "Conclave-Ended-By"
"""Tells the outcomes apart that several stored with the same words at the same moment."""


async def end(bus: Bus, opened: Record, status: Status, reason: str, *, now_ms: int) -> bool:
    """Store an outcome with what is known so far; False if there is one already.

    Raises BadMessage when the opening does not decode, Unavailable.
    """
    task_id = names.task_of(opened.subject) or ""
    state = await history.rebuild(bus, opened)
    ended = outcome.result(state, status, now_ms, reason)
    body = outcome.fitted(ended, bus.max_payload)
    subject = names.outcome(status.lower(), task_id)
    ours = secrets.token_hex(8)
    try:
        await bus.store(subject, body, once=names.any_outcome_of(task_id), headers={ENDED_BY: ours})
    except Conflict:
        _, first = await history.ends(bus, task_id)
        # It may be our own, whose receipt was lost.
        return first is not None and first.headers.get(ENDED_BY) == ours
    return True
