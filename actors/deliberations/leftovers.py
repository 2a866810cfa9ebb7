"""Leftovers: deliberations whose deadline passed while no collector was there to end them.

A collector follows the stream from the longest allowed deadline ago. What is older and has no
outcome was left behind by an outage that lasted past its deadline; nobody else would ever end it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from actors.bus import Bus, Record
from actors.deliberations import history
from actors.deliberations.ending import end
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import DELIBERATIONS

log = logging.getLogger(__name__)

BATCH = 64
PAUSE_S = 0.01
"""Between two batches: a long stream is read beside the work, not before it."""

REASON = "its deadline passed while no collector was running"


async def end_leftovers(bus: Bus, before_ms: int, clock: Callable[[], int]) -> int:
    """End every deliberation without outcome that was opened before `before_ms`; return how many.

    One that has time left, since longer deadlines were once allowed, is ended when it is over.
    Raises BusError.
    """
    start, ended, waiting = 1, 0, dict[str, Record]()
    while records := await bus.scan(DELIBERATIONS, names.ANY_OPENED, start, BATCH):
        old = [record for record in records if record.stored_ms < before_ms]
        waiting |= await _open(bus, old)
        if len(old) < len(records):
            break
        start = records[-1].sequence + 1
        await asyncio.sleep(PAUSE_S)
    for task_id, record in waiting.items():
        try:
            left_ms = history.opening(record).opened.deadline_ms - clock()
            await asyncio.sleep(left_ms / 1000)
            ended += await end(bus, record, "TIMEOUT", REASON, now_ms=clock())
        except BadMessage as error:
            log.warning("left as it is task_id=%s error=%s", task_id, error)
    return ended


async def _open(bus: Bus, openings: Sequence[Record]) -> dict[str, Record]:
    """Those of some openings that have no outcome, by their task."""
    over = await history.outcomes(bus, openings)
    tasks = {names.task_of(record.subject) or "": record for record in openings}
    return {task_id: record for task_id, record in tasks.items() if task_id not in over}
