"""The past that a collector reads when it starts: of what is still open, and of nothing more.

With a checkpoint, the events before it of what was open there, and the stream from there on.
Without one that is of use, the stream from the longest allowed deadline ago.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct

from actors.actor import RETRY_S
from actors.bus import Bus, BusError, NoResponders, Record
from actors.deliberations import history
from actors.deliberations.checkpoint import holds
from schemas.checkpoint import Checkpoint
from schemas.codec import read
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import CHECKPOINTS, DELIBERATIONS

log = logging.getLogger(__name__)

BATCH = 64
"""Deliberations of which the newest messages are read in one go: for most there is no more."""

READING = 32
"""Batches read at a time: the server is kept busy, and no read waits long for its turn."""

KINDS = (names.opened, names.round_opened, names.agent_response)
T = TypeVar("T")


class Beginning(Struct, frozen=True):
    """Where the stream is to be followed from: behind `after`, or else from `since_ms` (epoch).

    `events` are those before of what was open there. `is_whole` tells that nothing else before
    can be without an outcome.
    """

    since_ms: int = 0
    after: int = 0
    events: tuple[Record, ...] = ()
    is_whole: bool = False


async def beginning(bus: Bus, oldest_ms: int) -> Beginning:
    """Where to begin; without a checkpoint at `oldest_ms`. Raises Unavailable."""
    checkpoint = await _stored(bus)
    if checkpoint is None:
        return Beginning(since_ms=oldest_ms)
    log.info("reading from sequence=%d open=%d", checkpoint.sequence, len(checkpoint.open))
    events = tuple(await _before(bus, checkpoint))
    return Beginning(after=checkpoint.sequence - 1, events=events, is_whole=True)


async def _stored(bus: Bus) -> Checkpoint | None:
    """The checkpoint, if there is one and it is of this very stream."""
    try:
        kept = await bus.last(CHECKPOINTS, [names.CHECKPOINT])
    except NoResponders:
        return None
    for record in kept:
        try:
            checkpoint = read(Checkpoint, record.body, record.headers)
        except BadMessage as error:
            log.warning("a checkpoint that cannot be read is not used: %s", error)
            continue
        found = await bus.scan(DELIBERATIONS, names.ANYTHING, checkpoint.sequence, 1)
        if holds(checkpoint, found[0] if found else None):
            return checkpoint
        log.warning("a checkpoint of another stream is not used sequence=%d", checkpoint.sequence)
    return None


async def _before(bus: Bus, checkpoint: Checkpoint) -> list[Record]:
    """The events before a checkpoint of what was open there."""
    room = asyncio.Semaphore(READING)
    openings = [*checkpoint.open.items()]
    async with asyncio.TaskGroup() as group:
        reading = [
            group.create_task(_events(bus, dict(openings[at : at + BATCH]), room))
            for at in range(0, len(openings), BATCH)
        ]
    events = (record for each in reading for record in each.result())
    return [record for record in events if record.sequence < checkpoint.sequence]


async def _events(bus: Bus, openings: Mapping[str, int], room: asyncio.Semaphore) -> list[Record]:
    """The events of some deliberations, by the sequences of their openings."""
    subjects = [of(task_id) for task_id in openings for of in KINDS]
    found: list[Record] = []
    async with room:
        last = await _patiently(partial(bus.last, DELIBERATIONS, subjects))
        newest = {record.subject: record for record in last}
        for task_id, at in openings.items():
            found += await _patiently(partial(_events_of, bus, task_id, at, newest))
    return found


async def _events_of(
    bus: Bus, task_id: str, at: int, newest: Mapping[str, Record]
) -> Sequence[Record]:
    """A deliberation's events; none if its opening is stored no longer. Raises BusError."""
    opening = newest.get(names.opened(task_id))
    if opening is None or opening.sequence != at:  # one by a stranger may lie over it
        stored = await bus.scan(DELIBERATIONS, names.opened(task_id), at, 1)
        if not stored or stored[0].sequence != at:
            return ()
        opening = stored[0]
    if newest.keys().isdisjoint((names.round_opened(task_id), names.agent_response(task_id))):
        return (opening,)
    return (opening, *await history.since(bus, opening))


async def _patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Read until it succeeds: what was read before is not to be read again with each lost link."""
    while True:
        try:
            return await read()
        except BusError as error:
            log.info("reading again what is open: %s", error)
            await asyncio.sleep(RETRY_S)


class Past:
    """What was read and may still be open, undecoded: of what has ended nothing is needed."""

    def __init__(self, events: Iterable[Record] = ()) -> None:
        self.last: Record | None = None
        self._by_task: dict[str, list[Record]] = {}
        for record in events:
            self.keep(record)

    def keep(self, record: Record) -> None:
        """Take note of the next event; an outcome lets all of its deliberation be forgotten."""
        self.last = record
        task_id = names.task_of(record.subject) or ""
        if record.subject.startswith("deliberation.outcome."):
            self._by_task.pop(task_id, None)
        else:
            self._by_task.setdefault(task_id, []).append(record)

    def take(self) -> Iterator[Record]:
        """Yield what was kept, each deliberation's events in stream order, and forget it."""
        kept, self._by_task = self._by_task, {}
        for records in kept.values():
            yield from sorted(records, key=_sequence)


def _sequence(record: Record) -> int:
    return record.sequence
