"""A collector beside a faster one: it lets that decide, and does so itself where nobody did.

Several collectors read the same and come to the same; of what each stores only the first counts.
Who loses every time has made all of its results in vain, so it waits a moment before it makes one.
"""

from typing import Final

PATIENCE_MS: Final = 250
"""What is decided nowhere after this is decided here; a collector takes some ms."""

LOST_IN_A_ROW: Final = 3
"""After so many it stands by: one or two are lost to a cancellation, or to an own lost reply."""


class Standby:
    """See the module. Times are epoch ms."""

    def __init__(self) -> None:
        self._lost = 0
        self._until_ms: dict[str, int] = {}

    def lost(self) -> None:
        """Somebody else had decided."""
        self._lost += 1

    def won(self) -> None:
        """A decision of ours was the first."""
        self._lost = 0

    def until(self, task_id: str, now_ms: int, deadline_ms: int) -> int | None:
        """When to look at a task again that could be decided now; None: decide it.

        Short of its deadline nobody waits: what is complete now would then count as too late.
        """
        if self._lost < LOST_IN_A_ROW or now_ms + PATIENCE_MS >= deadline_ms > now_ms:
            return None
        until_ms = self._until_ms.setdefault(task_id, now_ms + PATIENCE_MS)
        return until_ms if now_ms < until_ms else None

    def forget(self, task_id: str) -> None:
        """It is decided."""
        self._until_ms.pop(task_id, None)

    def clear(self) -> None:
        """Know nothing: the stream is read again."""
        self._lost = 0
        self._until_ms.clear()
