"""The queues of foreign seats: each has a consumer as long as its seat is held, and not longer.

The consumer is there before the seat can be asked, and begins where the seat's last program left
off, if it had one. When the seat is given up, what was not answered counts as failed.
"""

from collections.abc import Callable, Iterable

from actors.bus import Bus
from actors.councils.absentees import Absentees
from schemas.council import Council, Departed, Why
from subjects import names
from subjects.streams import DELIBERATIONS, seat_consumer


class SeatQueues:
    """See the module. `clock` tells epoch ms."""

    def __init__(self, bus: Bus, clock: Callable[[], int]) -> None:
        self._bus = bus
        self._clock = clock
        self._absentees = Absentees(bus, clock)

    async def open(self, council: Council, queue: str, max_concurrency: int) -> None:
        """Make the consumer of a seat that is not held yet. Raises BusError."""
        await self._bus.remove_consumer(DELIBERATIONS, _consumer(queue))
        await self._make(council, queue, max_concurrency)

    async def keep(self, council: Council, queue: str, max_concurrency: int) -> None:
        """Make the consumer of a seat that is held, if it is not there. Raises BusError."""
        if await self._bus.acknowledged(DELIBERATIONS, _consumer(queue)) is None:
            await self._make(council, queue, max_concurrency)

    async def _make(self, council: Council, queue: str, max_concurrency: int) -> None:
        gone = [self._absentees.swept(each) for each in council.departed if each.queue == queue]
        after = max(gone) if gone else await self._bus.last_sequence(DELIBERATIONS)
        await self._bus.make_consumer(seat_consumer(queue, max_concurrency, after))

    def taken(self, queue: str) -> None:
        """The seat is held; nobody else answers for it."""
        self._absentees.forget(queue)

    async def departing(self, role: str, seat: str, code: Why) -> Departed:
        """What is to be stored of a seat that is given up. Raises BusError."""
        queue = names.seat_queue(role, seat)
        after = await self._bus.acknowledged(DELIBERATIONS, _consumer(queue))
        if after is None:
            after = await self._bus.last_sequence(DELIBERATIONS)
        return Departed(seat=seat, queue=queue, after=after, left_at_ms=self._clock(), code=code)

    async def close(self, departed: Iterable[Departed]) -> int:
        """Remove the consumers of seats that are given up; return how much open work failed.

        Raises BusError.
        """
        failed = 0
        for each in departed:
            await self._bus.remove_consumer(DELIBERATIONS, _consumer(each.queue))
            failed += await self._absentees.sweep(each)
        return failed

    async def sweep(self, departed: Departed) -> int:
        """Fail what a seat was asked since it was given up. Raises Unavailable."""
        return await self._absentees.sweep(departed)


def _consumer(queue: str) -> str:
    return seat_consumer(queue, 1, 0).durable
