"""Suspects: requests that came back twice, any of which may be what its agents died of.

Beside a request that kills whatever agent takes it, others die that are in hand at the time; all
come again at the same moment and die again, until each seems to be poison. So from its third
attempt on a request is answered while no other suspect is, and nothing is pulled meanwhile: what
is not pulled has not been tried. One that another queue brings all the same has not been tried
either, but is counted as if it had: it is put at the end of its queue as a new message.
"""

import asyncio

from actors.bus import Bus, Delivery
from schemas.codec import CONTENT_TYPE
from schemas.version import SCHEMA

SUSPECT_FROM = 3
"""An agent may die of many things: once is chance, and most who are in hand then are innocent."""


class Suspects:
    """At most one in hand of an agent."""

    def __init__(self) -> None:
        self._in_hand: Delivery | None = None
        self._none = asyncio.Event()
        self._none.set()

    @property
    def any(self) -> bool:
        """Whether one is in hand."""
        return self._in_hand is not None

    async def none(self) -> None:
        """Return when none is in hand."""
        await self._none.wait()

    def take(self, delivery: Delivery) -> bool:
        """Take a delivery in hand; False if it is a suspect and another is."""
        if delivery.attempt >= SUSPECT_FROM:
            if self.any:
                return False
            self._in_hand = delivery
            self._none.clear()
        return True

    def done(self, delivery: Delivery) -> None:
        """A delivery is no longer in hand."""
        if delivery is self._in_hand:
            self._in_hand = None
            self._none.set()


async def put_back(bus: Bus, delivery: Delivery) -> None:
    """Put a request that was not tried at the end of its queue, untried; once. Raises BusError."""
    record = delivery.record
    kept = {name: record.headers[name] for name in (CONTENT_TYPE, SCHEMA) if name in record.headers}
    message_id = f"untried.{record.sequence}"
    await bus.store(record.subject, record.body, message_id=message_id, headers=kept)
    await delivery.ack()
