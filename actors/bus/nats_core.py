"""One NATS connection, and the guard against the traps of nats-py.

Traps named N1… are those of nats-py 2.16 that a test in `tests/bus/` reproduces:
a `CancelledError` let out of a callback ends its subscription silently (N1); callbacks run one
after the other (N4); the error callback is awaited inside the read loop (N5); publishing while
disconnected is buffered and lost (N9); a half-open link is noticed after minutes (N12); a flush
that is cut short leaves the client deaf (N21); closing writes to a link that is gone (N22).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from actors.bus import (
    Disconnected,
    Handler,
    Headers,
    Listener,
    Message,
    NoResponders,
    TooLarge,
    Unavailable,
)
from actors.bus.login import login
from actors.bus.nats_client import DirectClient, Msg, NatsSubscription, errors
from actors.bus.replies import NO_RESPONDERS, STATUS, Replies
from actors.settings import BusSettings
from actors.tasks import TaskSet

log = logging.getLogger(__name__)

PING_INTERVAL_S = 5
MAX_OUTSTANDING_PINGS = 2
RECONNECT_WAIT_S = 0.2
ROUND_TRIP_S = 2.0

HEADER_ROOM = 1_024
"""Kept free for headers: they count towards the server's limit, and passing it ends the link."""

_NO_HEADERS: Headers = {}


class Connection:
    """The core NATS half of `actors.bus.Bus`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reconnects = 0
        self.closed = asyncio.Event()
        self._nc = DirectClient()
        self._tasks = TaskSet(f"bus {name}")
        self._replies = Replies()
        self._denied = asyncio.Event()
        self._last_error: Exception | None = None

    async def open(self, settings: BusSettings, timeout_s: float) -> None:
        """Connect, trying again until `timeout_s` is over; afterwards reconnect for ever.

        Raises Unavailable when no server answers in time or our credentials are refused.
        """
        try:
            await self._connect(settings, timeout_s)
            self._replies.prefix = (await self.inbox(self._replies.receive)).prefix
        except BaseException:  # a cancellation can come just when the link is there
            await self._nc.close()
            raise

    async def _connect(self, settings: BusSettings, timeout_s: float) -> None:
        options = self._options() | login(settings)
        connecting = asyncio.ensure_future(self._nc.connect(**options))
        denied = asyncio.ensure_future(self._denied.wait())
        try:
            await asyncio.wait(
                (connecting, denied), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not connecting.done() or connecting.exception() is not None:
                cause = connecting.exception() if connecting.done() else None
                why = "does not answer" if cause is None else "cannot be connected to"
                why = "refuses our credentials" if denied.done() else why
                raise Unavailable(f"{settings.url} {why}: {self._last_error or cause!r}") from cause
        finally:
            denied.cancel()
            await _end(connecting)

    def _options(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": RECONNECT_WAIT_S,
            "connect_timeout": 2,
            "ping_interval": PING_INTERVAL_S,
            "max_outstanding_pings": MAX_OUTSTANDING_PINGS,
            "pending_size": -1,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
            "closed_cb": self._on_closed,
        }

    async def _on_error(self, error: Exception) -> None:
        # Awaited inside nats-py's read loop (N5): only note it.
        self._last_error = error
        if "authorization" in str(error).lower():  # of several classes, by when it happens
            self._denied.set()

    async def _on_disconnected(self) -> None:
        if not self._nc.is_closed:
            log.warning("disconnected name=%s", self.name)
        self._replies.fail(Disconnected("the link to the server was lost"))

    async def _on_reconnected(self) -> None:
        self.reconnects += 1
        log.warning("reconnected name=%s", self.name)
        self.on_reconnected()

    def on_reconnected(self) -> None:
        """Called when the link is back; what was asked of the old server is lost."""

    async def _on_closed(self) -> None:
        self.closed.set()

    @property
    def max_payload(self) -> int:
        """See `actors.bus.Bus`."""
        return self._nc.max_payload - HEADER_ROOM

    async def publish(
        self, subject: str, body: bytes, headers: Headers | None = None, reply: str = ""
    ) -> None:
        """See `actors.bus.Bus`."""
        self._check_size(body)
        try:
            await self._nc.publish(subject, body, reply=reply, headers=headers)
        except (errors.Error, OSError) as error:
            raise Disconnected(f"not published: {error!r}") from error

    def _check_size(self, body: bytes) -> None:
        if len(body) > self.max_payload:
            raise TooLarge(len(body), self.max_payload)

    async def request(
        self, subject: str, body: bytes, headers: Headers | None = None, timeout_s: float = 5.0
    ) -> Message:
        """See `actors.bus.Bus`. A lost link fails it at once, not after its time-out (N13)."""
        expired = Unavailable(f"no answer on {subject} within {timeout_s:g} s")
        token, future = self._replies.one(expired, timeout_s)
        try:
            await self.publish(subject, body, headers, f"{self._replies.prefix}.{token}")
            reply = await future
        finally:
            self._replies.forget(token)
        if reply.headers.get(STATUS) == NO_RESPONDERS and not reply.body:
            raise NoResponders(f"nobody answers on {subject}")
        return reply

    @asynccontextmanager
    async def converse(self, subject: str, body: bytes) -> AsyncIterator[asyncio.Queue[Message]]:
        """See `actors.bus.Bus`."""
        arrived: asyncio.Queue[Message] = asyncio.Queue()
        token = self._replies.many(arrived.put_nowait)
        try:
            await self.publish(subject, body, reply=f"{self._replies.prefix}.{token}")
            yield arrived
        finally:
            self._replies.forget(token)

    async def serve(self, subject: str, handler: Handler, queue: str = "") -> "Serving":
        """See `actors.bus.Bus`.

        Every message gets a task of its own, so that nothing a handler does can end or delay
        the subscription (N1, N4).
        """

        async def hand_over(message: Msg) -> None:
            self._tasks.spawn(handler(_message(message)), subject)

        return await self._subscribe(subject, hand_over, queue)

    async def listen(self, subject: str, listener: Listener) -> "Serving":
        """See `actors.bus.Bus`."""

        async def receive(message: Msg) -> None:
            try:
                listener(_message(message))
            except Exception:  # nats-py would tell its error callback only (N2)
                log.exception("listener failed subject=%s", subject)

        return await self._subscribe(subject, receive)

    async def inbox(self, listener: Listener) -> "Inbox":
        """Open a reply subject for many replies; see `listen`."""
        prefix = self._nc.new_inbox()
        return Inbox(prefix, await self.listen(f"{prefix}.*", listener))

    async def _subscribe(
        self, subject: str, receive: Callable[[Msg], Awaitable[None]], queue: str = ""
    ) -> "Serving":
        try:
            subscription = await self._nc.subscribe(subject, queue=queue, cb=receive)
        except (errors.Error, OSError) as error:
            raise Unavailable(f"cannot subscribe to {subject}: {error!r}") from error
        if self._replies.prefix:
            try:
                await self._round_trip(ROUND_TRIP_S)
            except BaseException:  # nobody would have it to close it
                with suppress(errors.Error, OSError):
                    await subscription.unsubscribe()
                raise
        return Serving(subscription)

    async def _round_trip(self, timeout_s: float) -> None:
        """Send ourselves a message: once it is back, the server has all that was sent before.

        A flush of nats-py proves less: its PING overtakes what still waits in the client's
        buffer (N19), and one that is cut short can end the read loop (N21).
        """
        expired = Unavailable(f"no round trip through the server within {timeout_s:g} s")
        token, future = self._replies.one(expired, timeout_s)
        try:
            await self.publish(f"{self._replies.prefix}.{token}", b"")
            await future
        finally:
            self._replies.forget(token)

    async def healthy(self, timeout_s: float = 2.0) -> bool:
        """See `actors.bus.Bus`. `is_connected` stays true on a dead link, so it is not asked."""
        try:
            await self._round_trip(timeout_s)
        except Unavailable:
            return False
        return True

    async def close(self) -> None:
        """See `actors.bus.Bus`. Own tasks end first: `drain` does not wait for them (N7)."""
        try:
            await self._tasks.join(timeout_s=5.0)
            await self._round_trip(ROUND_TRIP_S)
        except Unavailable as error:
            log.info("closing with words unsaid name=%s reason=%s", self.name, error)
        finally:  # whoever has no patience for that leaves no connection behind either
            if (reconnecting := self._nc._reconnection_task) is not None:  # noqa: SLF001 -- N20
                await _end(reconnecting)
            await self._nc.close()


class Serving:
    """A running subscription of `NatsBus.serve`."""

    def __init__(self, subscription: NatsSubscription) -> None:
        self._subscription = subscription

    async def close(self) -> None:
        """See `actors.bus.Subscription`."""
        try:
            async with asyncio.timeout(2.0):
                await self._subscription.drain()  # type: ignore[no-untyped-call]
        except (errors.Error, OSError, TimeoutError) as error:
            log.info("subscription left undrained reason=%r", error)


class Inbox:
    """A reply subject `<prefix>.*` of our own."""

    def __init__(self, prefix: str, serving: Serving) -> None:
        self.prefix = prefix
        self.close = serving.close


async def _end(task: asyncio.Future[None]) -> None:
    """Cancel a task of nats-py until it has ended.

    One that connects swallows a cancellation that meets the end of its `wait_for`, and then
    goes on trying for ever (N20).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=0.05)


def _message(message: Msg) -> Message:
    return Message(message.subject, message.data, message.headers or _NO_HEADERS, message.reply)
