"""The past that a collector reads when it starts: of what is still open, and of little more.

With a checkpoint, the stream from the oldest opening that was open there. Without one that is of
use, the stream from the longest allowed deadline ago.
"""

import logging
from collections.abc import Iterator

from msgspec import Struct

from actors.bus import Bus, NoResponders, Record
from actors.deliberations.checkpoint import holds
from schemas.checkpoint import Checkpoint
from schemas.codec import read
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import CHECKPOINTS, DELIBERATIONS

log = logging.getLogger(__name__)


class Beginning(Struct, frozen=True):
    """Where the stream is to be followed from: behind `after`, or else from `since_ms` (epoch).

    `is_whole` tells that nothing before can be without an outcome.
    """

    since_ms: int = 0
    after: int = 0
    is_whole: bool = False


async def beginning(bus: Bus, oldest_ms: int) -> Beginning:
    """Where to begin; without a checkpoint at `oldest_ms`. Raises Unavailable."""
    checkpoint = await _stored(bus)
    if checkpoint is None:
        return Beginning(since_ms=oldest_ms)
    log.info("reading from sequence=%d", checkpoint.sequence)
    return Beginning(after=checkpoint.sequence - 1, is_whole=True)


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


class Past:
    """What was read and may still be open, undecoded: of what has ended nothing is needed."""

    def __init__(self) -> None:
        self.last: Record | None = None
        self._by_task: dict[str, list[Record]] = {}

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
            yield from records
