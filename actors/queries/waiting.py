"""Callers that wait for an outcome, woken by the public event and by nothing else lost."""

import asyncio
from collections import defaultdict

from actors.bus import Bus, Message, Subscription
from schemas.errors import Refused
from subjects import names

RECHECK_S = 5.0
"""Public events are at most once: a waiter looks at the store this often all the same."""


class Waiters:
    """Who waits for which deliberation, at most `most` callers."""

    def __init__(self, bus: Bus, most: int) -> None:
        self._bus = bus
        self._most = most
        self.leaving = False
        """Nobody can wait here any longer."""
        self._count = 0
        self._waiting: defaultdict[str, dict[asyncio.Event, None]] = defaultdict(dict)
        """In the order in which they came."""
        self._subscriptions: list[Subscription] = []

    def __len__(self) -> int:
        return self._count

    async def start(self) -> None:
        """Hear of every outcome from now on."""
        for subject in names.PUBLIC_OUTCOMES:
            self._subscriptions.append(await self._bus.listen(subject, self._on_outcome))

    async def drain(self) -> None:
        """Let everybody who waits look once more, and hear of nothing further."""
        self.leaving = True
        for subscription in self._subscriptions:
            await subscription.close()
        for task_id in tuple(self._waiting):
            self._wake(task_id)

    def _on_outcome(self, message: Message) -> None:
        self._wake(message.headers.get("Nats-Subject", "").rpartition(".")[2])

    def _wake(self, task_id: str) -> None:
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
