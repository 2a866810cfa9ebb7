"""Checkpoint: how far the stream is folded and what is open there, so that a restart is short.

It is a hint for speed and never the truth: what is open is read from the stream all the same, and
without a checkpoint more of it is read. It follows from the stream alone, so that any collector's
is good for any other; an old one, of a collector that lags, only makes reading longer.
"""

from actors.bus import Record
from schemas.checkpoint import Checkpoint

EVERY_S = 1.0
"""A collector that was killed left about so much of the stream for the next one to read."""

MAX_LISTED = 10_000
"""Of more open deliberations the oldest are listed, and reading begins at the first that is not."""

_ENTRY_BYTES = 96
"""More than one listed deliberation takes as JSON: 64 of its id, 16 of its sequence, and signs."""


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

    def checkpoint(self, max_bytes: int) -> Checkpoint | None:
        """What a collector that starts may rely on, encoded in less than `max_bytes`.

        Raises nothing; None when nothing is folded yet.
        """
        if self.last is None:
            return None
        sequence, stored_ms = self.last.sequence, self.last.stored_ms
        places = self._opened.items()
        opened = sorted((at, at_ms, task_id) for task_id, (at, at_ms) in places if at < sequence)
        most = max(0, min(MAX_LISTED, max_bytes // _ENTRY_BYTES - 1))
        if len(opened) > most:
            sequence, stored_ms, _ = opened[most]
        return Checkpoint(
            sequence=sequence,
            stored_ms=stored_ms,
            open={task_id: at for at, _, task_id in opened[:most]},
        )


def holds(checkpoint: Checkpoint, found: Record | None) -> bool:
    """Whether a checkpoint is of this stream, by what is `found` from its sequence on."""
    return (
        found is not None
        and found.sequence == checkpoint.sequence
        and found.stored_ms == checkpoint.stored_ms
    )
