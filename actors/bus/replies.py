"""One inbox for every reply: who waits for which, told apart by the last token of the subject.

Leaner than a request of nats-py's, which draws random tokens and wraps every wait in a task, and
able to take many replies to one request (NATS ADR-47), which that is not.
"""

import asyncio
from collections.abc import Callable

from actors.bus import BusError, Message

STATUS = "Status"
"""The header by which the server itself speaks."""

NO_RESPONDERS = "503"

LINK_LOST = "lost"
"""The status by which the bus tells who expects many replies that no more will come."""

Take = Callable[[Message], None]


class Replies:
    """Open expectations by token. `prefix` is set once the inbox is subscribed to."""

    def __init__(self) -> None:
        self.prefix = ""
        self._takers: dict[str, Take] = {}
        self._futures: dict[str, asyncio.Future[Message]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._count = 0

    def receive(self, message: Message) -> None:
        """Hand a reply to whoever waits for it; one that comes too late is dropped."""
        token = message.subject.rpartition(".")[2]
        future = self._futures.get(token)
        if future is not None:
            if not future.done():
                future.set_result(message)
        elif (take := self._takers.get(token)) is not None:
            take(message)

    def _new(self) -> str:
        self._count += 1
        return str(self._count)

    def many(self, take: Take) -> str:
        """Expect any number of replies; return the token."""
        token = self._new()
        self._takers[token] = take
        return token

    def one(self, expired: BusError, timeout_s: float) -> tuple[str, asyncio.Future[Message]]:
        """Expect one reply, until forgotten; after `timeout_s` the future raises `expired`."""
        loop = asyncio.get_running_loop()
        token, future = self._new(), loop.create_future()
        self._timers[token] = loop.call_later(timeout_s, _fail, future, expired)
        self._futures[token] = future
        return token, future

    def forget(self, token: str) -> None:
        """Expect nothing more under `token`."""
        self._takers.pop(token, None)
        if (timer := self._timers.pop(token, None)) is not None:
            timer.cancel()
        future = self._futures.pop(token, None)
        if future is not None and not future.cancel() and not future.cancelled():
            future.exception()  # looked at, so that it is not reported as never retrieved

    def fail(self, error: BusError) -> None:
        """Fail everybody who waits: the server that was asked is gone, and so are its replies."""
        for future in self._futures.values():
            _fail(future, error)
        for take in tuple(self._takers.values()):
            take(Message("", b"", {STATUS: LINK_LOST}, ""))


def _fail(future: asyncio.Future[Message], error: BusError) -> None:
    if not future.done():
        future.set_exception(error)
