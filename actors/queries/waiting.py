"""Callers that wait for an outcome, woken when it is stored."""

import asyncio
from collections import defaultdict

from schemas.errors import Refused

RECHECK_S = 5.0
"""Who wakes them may be interrupted: a waiter looks at the store this often all the same."""


class Waiters:
    """Who waits for which deliberation, at most `most` callers."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.leaving = False
        """Nobody can wait here any longer."""
        self._count = 0
        self._waiting: defaultdict[str, dict[asyncio.Event, None]] = defaultdict(dict)
        """In the order in which they came."""

    def __len__(self) -> int:
        return self._count

    def dismiss(self) -> None:
        """Let everybody who waits look once more, and nobody wait any longer."""
        self.leaving = True
        for task_id in tuple(self._waiting):
            self.wake(task_id)

    def wake(self, task_id: str) -> None:
        """A deliberation is over: let who waits for it look."""
        for event in self._waiting.get(task_id, ()):
            event.set()

    def join(self, task_id: str) -> asyncio.Event:
        """Begin to wait: the event is set when the deliberation may be over. Raises Refused."""
        if self._count >= self._most:
            text = f"{self._count} callers are waiting; try again later"
            raise Refused("overloaded", text, retry_after_ms=int(RECHECK_S * 1000))
        event = asyncio.Event()
        self._waiting[task_id][event] = None
        self._count += 1
        return event

    def leave(self, task_id: str, event: asyncio.Event) -> None:
        """Wait no longer."""
        self._waiting[task_id].pop(event, None)
        self._count -= 1
        if not self._waiting[task_id]:
            del self._waiting[task_id]


async def woken(event: asyncio.Event, seconds: float) -> None:
    """Return when `event` is set, or `seconds` or RECHECK_S have passed."""
    try:
        async with asyncio.timeout(min(seconds, RECHECK_S)):
            await event.wait()
    except TimeoutError:
        return
    finally:
        event.clear()
