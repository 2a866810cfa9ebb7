"""The past that a collector reads when it starts: of what is still open, and of nothing more.

With a checkpoint, the events before it of what was open there, and the stream from there on.
Without one that is of use, the stream from the longest allowed deadline ago.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from actors.bus import Bus, BusError, NoResponders, Record, Unavailable
from actors.deliberations import history
from actors.deliberations.checkpoint import holds
from schemas.checkpoint import Checkpoint
from schemas.codec import read
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import CHECKPOINTS, DELIBERATIONS

log = logging.getLogger(__name__)

READING = 32
"""Deliberations read at a time: the server is kept busy, and no read waits long for its turn."""


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
    events = await _before(bus, checkpoint)
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


async def _before(bus: Bus, checkpoint: Checkpoint) -> tuple[Record, ...]:
    """The events before a checkpoint of what was open there. Raises Unavailable."""
    room = asyncio.Semaphore(READING)
    failure: BusError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            reading = [
                group.create_task(_events(bus, task_id, opened, checkpoint.sequence, room))
                for task_id, opened in checkpoint.open.items()
            ]
    except* BusError as errors:
        failure = Unavailable(f"reading what is open: {errors.exceptions[0]}")
    if failure is not None:
        raise failure
    return tuple(record for each in reading for record in each.result())


async def _events(
    bus: Bus, task_id: str, opened: int, before: int, room: asyncio.Semaphore
) -> Sequence[Record]:
    """A deliberation's events before a sequence; none if its opening is stored no longer."""
    async with room:
        found = await bus.scan(DELIBERATIONS, names.opened(task_id), opened, 1)
        if not found or found[0].sequence != opened:
            return ()
        following = await history.since(bus, found[0])
    return [found[0], *(each for each in following if each.sequence < before)]


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
