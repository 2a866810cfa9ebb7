"""How far the queues of seats are worked off: whether a deliberation has begun."""

from actors.bus import Bus
from schemas.deliberation import Opened
from subjects.streams import DELIBERATIONS, agent_consumer


class Queues:
    """What is known of every queue at one moment, each asked of nats-server at most once."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._delivered: dict[str, int] = {}

    async def begun(self, opened: Opened, sequence: int) -> bool:
        """Whether an agent took up what a seat was asked, of a deliberation opened at `sequence`.

        Agents take what they can work on at once, in the order of the stream: a queue that was
        delivered beyond the opening has come to this deliberation, or to one that was opened some
        milliseconds before. Raises BusError.
        """
        for queue in {seat.queue_in(opened.request.role) for seat in opened.seats}:
            if await self._reached(queue) > sequence:
                return True
        return False

    async def _reached(self, queue: str) -> int:
        if queue not in self._delivered:
            consumer = agent_consumer(queue).durable
            self._delivered[queue] = await self._bus.delivered(DELIBERATIONS, consumer)
        return self._delivered[queue]
