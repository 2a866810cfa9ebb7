"""Answers for seats whose program is gone: what they are still asked counts as failed at once.

Requests arrive for them as long as a deliberation that was opened with them goes on. So a queue
is looked through again and again, from where its program had left off.
"""

from collections.abc import Callable

from actors.bus import Bus, Record
from actors.deliberations.seat_failure import fail_seat
from schemas.agent import AgentRequest
from schemas.codec import read
from schemas.council import Departed
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import DELIBERATIONS

BATCH = 256
_WHY = {
    "seat_left": "its program left the council",
    "seat_lost": "its program was not heard of any more",
    "seat_silent": "its program had let three deliberations wait for it in vain",
}


class Absentees:
    """See the module. Begins anew after a restart; that a seat fails twice changes nothing."""

    def __init__(self, bus: Bus, clock: Callable[[], int]) -> None:
        self._bus = bus
        self._clock = clock
        self._swept: dict[str, int] = {}

    def swept(self, departed: Departed) -> int:
        """The sequence up to which all that a departed seat was asked has failed."""
        return max(self._swept.get(departed.queue, 0), departed.after)

    def forget(self, queue: str) -> None:
        """The seat has a program again."""
        self._swept.pop(queue, None)

    async def sweep(self, departed: Departed) -> int:
        """Fail what a departed seat was asked since the last time; return how many that were.

        Raises Unavailable.
        """
        failed = 0
        subject = names.agent_request(departed.queue)
        while True:
            start = self.swept(departed) + 1
            records = await self._bus.scan(DELIBERATIONS, subject, start, BATCH)
            for record in records:
                failed += await self._fail(record, departed.code)
                self._swept[departed.queue] = record.sequence
            if len(records) < BATCH:
                return failed

    async def _fail(self, record: Record, code: str) -> bool:
        try:
            request = read(AgentRequest, record.body, record.headers)
        except BadMessage:
            return False  # nobody waits for garbage
        if request.deadline_ms <= self._clock():
            return False
        return await fail_seat(self._bus, request, code, _WHY[code], now_ms=self._clock())
