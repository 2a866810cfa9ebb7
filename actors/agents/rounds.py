"""Which rounds are past by what is stored: one that is merely heard of may have been refused.

Whoever listens hears a round when a collector publishes it, before the stream has stored it, and
also when the stream refuses it, since another collector was first. A turn that were cut short on
such news would be missing in the round that goes on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from actors.agents.floor import Floor
from actors.bus import Bus, BusError
from schemas.codec import read
from schemas.deliberation import RoundOpened
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import DELIBERATIONS

log = logging.getLogger(__name__)

LOOKS_AFTER_S = (0.0, 1.0)
"""When the stream is asked: at once, and, as storing takes its time in a cluster, once more."""


async def stored_round(bus: Bus, task_id: str) -> int:
    """The number of the last round that is stored, 0 for none. Raises BusError."""
    try:
        return max(
            (
                read(RoundOpened, record.body, record.headers).round
                for record in await bus.last(DELIBERATIONS, [names.round_opened(task_id)])
            ),
            default=0,
        )
    except BadMessage:
        return 0  # garbage on the subject; the collector sets it aside


class Rounds:
    """See the module. `stored` tells the last stored round of a task and may raise BusError."""

    def __init__(self, floor: Floor, stored: Callable[[str], Awaitable[int]]) -> None:
        self._floor = floor
        self._stored = stored

    async def close(self, task_id: str, round_number: int) -> None:
        """Cut short who speaks in a round before this one, once this one is stored."""
        for pause_s in LOOKS_AFTER_S:
            await asyncio.sleep(pause_s)
            try:
                if await self.is_past(task_id, round_number - 1):
                    return
            except BusError as error:
                log.info("round not looked up task_id=%s error=%s", task_id, error)

    async def is_past(self, task_id: str, round_number: int) -> bool:
        """Whether this round is past; asks the stream if it is said to be. Raises BusError."""
        floor = self._floor
        if not floor.past(task_id, round_number) and floor.doubted(task_id, round_number):
            floor.close(task_id, before=await self._stored(task_id))
        return floor.past(task_id, round_number)
