"""Checkpoint: before which record of the stream nothing is open, so that a restart is short.

It is a hint for speed and never the truth: reading begins there, and without it earlier. It follows
from the stream alone, so that any collector's is good for any other; an old one, of a collector
that lags, only makes reading longer.
"""

from actors.bus import Record
from schemas.checkpoint import Checkpoint

EVERY_S = 1.0
"""A collector that was killed left about so much of the stream for the next one to read."""


class Folded:
    """The last record that was folded, and where each deliberation still open was opened."""

    def __init__(self) -> None:
        self.last: Record | None = None
        self._opened: dict[str, tuple[int, int]] = {}
        """Sequence and time (epoch ms) of each opening, by its task."""

    @property
    def sequence(self) -> int:
        """Up to where all is folded; 0 if nothing is."""
        return self.last.sequence if self.last is not None else 0

    def clear(self) -> None:
        """Nothing is folded yet: the stream is read again."""
        self.last = None
        self._opened.clear()

    def began(self, task_id: str, record: Record) -> None:
        """A deliberation was opened by this record."""
        self._opened[task_id] = record.sequence, record.stored_ms

    def ended(self, task_id: str) -> None:
        """The outcome of a deliberation is stored."""
        self._opened.pop(task_id, None)

    def checkpoint(self) -> Checkpoint | None:
        """Where a collector that starts may begin to read; None when nothing is folded yet."""
        if self.last is None:
            return None
        last = self.last.sequence, self.last.stored_ms
        sequence, stored_ms = min(self._opened.values(), default=last)
        return Checkpoint(sequence=sequence, stored_ms=stored_ms)


def holds(checkpoint: Checkpoint, found: Record | None) -> bool:
    """Whether a checkpoint is of this stream, by what is `found` from its sequence on."""
    return (
        found is not None
        and found.sequence == checkpoint.sequence
        and found.stored_ms == checkpoint.stored_ms
    )
