"""The councils as every actor sees them: a cache in step with what is stored."""

import logging
from collections.abc import Callable, Iterable

from actors.bus import Bus, Headers, Message, Record, Subscription
from actors.settings import LONGEST_TIMEOUT_S
from schemas.codec import encode, read
from schemas.council import Council
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import COUNCILS

log = logging.getLogger(__name__)

STILL_ASKED_S = LONGEST_TIMEOUT_S + 60.0
"""After a council was deleted or changed, what was opened before it, or by a dispatcher that had
not heard of it yet, asks its seats so long at most."""


def queues_of(councils: Iterable[Council]) -> frozenset[str]:
    """Every queue that agents serve for these councils: not those of seats that joined."""
    found = {seat.queue_in(council.role) for council in councils for seat in council.seats}
    return frozenset(queue for queue in found if not names.is_seat_queue(queue))


def is_past(left_ms: int, now_ms: int) -> bool:
    """Whether nothing can be asked any more of what was left then; both epoch ms."""
    return left_ms + STILL_ASKED_S * 1_000 < now_ms


class CouncilDirectory:
    """Councils by role. Changes arrive after they are stored; a miss is looked up in the store.

    A change missed while disconnected is made good by `refresh`, which actors call when idle.
    """

    def __init__(self, bus: Bus, changed: Callable[[], None] = lambda: None) -> None:
        self._bus = bus
        self._changed = changed
        self._known: dict[str, tuple[int, Council]] = {}
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Subscribe first, read then: nothing falls between."""
        self._subscription = await self._bus.listen(names.ANY_COUNCIL_CHANGE, self._on_change)
        await self.refresh()

    async def drain(self) -> None:
        """Learn of no further change."""
        if self._subscription is not None:
            await self._subscription.close()

    async def refresh(self) -> None:
        """Read every council from the store. Raises Unavailable."""
        for record in await self._bus.last(COUNCILS, [names.ANY_COUNCIL]):
            self._learn(record.sequence, record.body, record.headers)

    def _on_change(self, message: Message) -> None:
        sequence = int(message.headers.get("Nats-Sequence", "0"))
        self._learn(sequence, message.body, message.headers)

    def _learn(self, sequence: int, body: bytes, headers: Headers) -> None:
        try:
            council = read(Council, body, headers)
        except BadMessage as error:
            log.warning("stored council does not decode sequence=%d error=%s", sequence, error)
            return
        known = self._known.get(council.role)
        if known is None or known[0] < sequence:
            self._known[council.role] = (sequence, council)
            self._changed()

    async def find(self, role: str) -> Council | None:
        """The council of a role, or None when there is none. Raises Unavailable."""
        known = self._known.get(role)
        if known is not None and not known[1].deleted:
            return known[1]
        stored = await self.stored(role)
        if stored is None:
            return None
        self._learn(stored.sequence, stored.body, stored.headers)
        known = self._known.get(role)
        return None if known is None or known[1].deleted else known[1]

    async def stored(self, role: str) -> Record | None:
        """The stored message of a role, a deleted council's included. Raises Unavailable."""
        records = await self._bus.last(COUNCILS, [names.council_stored(role)])
        return records[0] if records else None

    async def present(self, role: str) -> tuple[int, Council | None]:
        """What is stored of a role, a deleted council included, and at which sequence.

        Raises Unavailable.
        """
        record = await self.stored(role)
        if record is None:
            return 0, None
        return record.sequence, read(Council, record.body, record.headers)

    async def store(self, council: Council, after: int) -> None:
        """Store a council as what follows sequence `after`. Raises Conflict, Unavailable."""
        subject = names.council_stored(council.role)
        stored = await self._bus.store(subject, encode(council), once=subject, after=after)
        self._learn(stored.sequence, encode(council), {})

    def get(self, role: str) -> Council | None:
        """The council of a role as far as it is known here, without asking the store."""
        known = self._known.get(role)
        return known[1] if known is not None and not known[1].deleted else None

    def known(self) -> tuple[Council, ...]:
        """Every council known, deleted ones included."""
        return tuple(council for _, council in self._known.values())

    def asked(self, now_ms: int) -> tuple[Council, ...]:
        """Every council that is there, or was so lately that a deliberation may still ask it."""
        known = self.known()
        return tuple(
            each for each in known if not each.deleted or not is_past(each.deleted_at_ms, now_ms)
        )

    def all(self) -> tuple[Council, ...]:
        """Every council known, by role."""
        councils = (council for _, council in self._known.values() if not council.deleted)
        return tuple(sorted(councils, key=lambda council: council.role))
