"""Work that is shared: pull requests to a durable consumer, and what they bring."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from actors.bus import BusError, Message, Record, Unavailable, jetstream
from actors.bus.jetstream import AckTokens
from actors.bus.replies import STATUS
from subjects import names

log = logging.getLogger(__name__)

EXPIRES_S = 5.0
"""A pull request lives this long on the server; one that was lost is noticed as long after."""

LOST_AFTER_S = EXPIRES_S + 2.0
_ENDED = frozenset({"404", "408", "409", "503"})


class Wire(Protocol):
    """What reading from a consumer needs of the connection."""

    async def publish(
        self, subject: str, body: bytes, headers: None = None, reply: str = ""
    ) -> None:
        """Send at most once."""

    async def api(self, subject: str, body: Any) -> jetstream.ApiReply:
        """Call the JetStream API. Raises Unavailable."""

    async def inbox(self, handler: Callable[[Message], None]) -> "Inbox":
        """Open a reply subject for many replies."""


class Inbox(Protocol):
    """A subscription of our own to `<prefix>.*`."""

    prefix: str

    async def close(self) -> None:
        """Receive nothing more."""


class Pulled:
    """One delivery of a durable consumer; see `actors.bus.Delivery`."""

    __slots__ = ("_reply", "_wire", "attempt", "record")

    def __init__(self, wire: Wire, message: Message, tokens: AckTokens) -> None:
        self._wire = wire
        self._reply = message.reply
        self.attempt = tokens.attempt
        self.record = to_record(message, tokens)

    async def ack(self) -> None:
        """See `actors.bus.Delivery`."""
        await self._say(b"+ACK")

    async def nak(self, delay_s: float = 0.0) -> None:
        """See `actors.bus.Delivery`."""
        delay = b' {"delay": %d}' % int(delay_s * 1e9) if delay_s else b""
        await self._say(b"-NAK" + delay)

    async def term(self) -> None:
        """See `actors.bus.Delivery`."""
        await self._say(b"+TERM")

    async def in_progress(self) -> None:
        """See `actors.bus.Delivery`."""
        await self._say(b"+WPI")

    async def _say(self, word: bytes) -> None:
        try:
            await self._wire.publish(self._reply, word)
        except Unavailable:
            log.info("acknowledgement not sent, the server will deliver again word=%r", word)


def to_record(message: Message, tokens: AckTokens) -> Record:
    """The stored message that a consumer delivered."""
    return Record(
        subject=message.subject,
        body=message.body,
        headers=message.headers,
        sequence=tokens.stream_sequence,
        stored_ms=tokens.stored_ms,
    )


class Requests:
    """Pull requests in flight to one consumer, and what they brought.

    A status arrives on the reply subject of its request and so ends just that one. A message
    arrives on its own subject and counts against the oldest, as the server serves them.
    One that comes after its request was given up is kept for the next fetch.
    """

    def __init__(self, wire: Wire, stream: str, consumer: str) -> None:
        self._wire = wire
        self._inbox: Inbox | None = None
        self._next = names.next_request(stream, consumer)
        self._arrived: deque[tuple[Message, AckTokens]] = deque()
        self._wake = asyncio.Event()
        self._open: dict[str, int] = {}
        self._count = 0
        self._gone = ""

    async def open(self) -> None:
        """Subscribe to the replies. Raises Unavailable."""
        self._inbox = await self._wire.inbox(self._on_message)

    def _on_message(self, message: Message) -> None:
        tokens = jetstream.ack_tokens(message.reply)
        if tokens is not None:
            self._arrived.append((message, tokens))
            self._spend()
        else:
            status = message.headers.get(STATUS, "")
            if status in _ENDED:
                self._open.pop(message.subject.rpartition(".")[2], None)
                text = message.headers.get("Description", "")
                if status == "503" or "onsumer Deleted" in text:
                    self._gone = text or "no responders"
        self._wake.set()

    def _spend(self) -> None:
        for token, left in self._open.items():
            if left > 1:
                self._open[token] = left - 1
            else:
                del self._open[token]
            return

    def reset(self) -> None:
        """Forget requests in flight: the server they were sent to is gone."""
        self._open.clear()
        self._wake.set()

    def credit(self) -> int:
        """Messages the server may still send for requests in flight."""
        return sum(self._open.values())

    async def ask(self, batch: int, *, linger: bool) -> None:
        """Send one pull request; without `linger` it ends as soon as nothing is waiting."""
        self._count += 1
        token = str(self._count)
        body: dict[str, Any] = {"batch": batch}
        if linger:
            body["expires"] = int(EXPIRES_S * 1e9)
        else:
            body["no_wait"] = True
        assert self._inbox is not None  # noqa: S101 -- `open` came first
        reply = f"{self._inbox.prefix}.{token}"
        self._open[token] = batch
        try:
            await self._wire.publish(self._next, jetstream.encode(body), reply=reply)
        except BusError:
            self._open.pop(token, None)
            raise

    async def take(self, most: int) -> Sequence[tuple[Message, AckTokens]]:
        """Up to `most` of what arrived; else wait for a message, a status or LOST_AFTER_S.

        Raises Unavailable when the consumer is no longer there.
        """
        if not self._arrived:
            await self._news()
        return self.arrived(most)

    async def settle(self, most: int) -> None:
        """Wait until the requests in flight have ended, or brought `most`."""
        while self.credit() and len(self._arrived) < most:
            await self._news()

    def arrived(self, most: int) -> Sequence[tuple[Message, AckTokens]]:
        """Up to `most` of what has arrived. Raises Unavailable as `take` does."""
        if not self._arrived and self._gone:
            raise Unavailable(f"the consumer is gone: {self._gone}")
        return [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]

    async def _news(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(LOST_AFTER_S):
                await self._wake.wait()
        except TimeoutError:
            self.reset()

    async def close(self) -> Sequence[tuple[Message, AckTokens]]:
        """Receive nothing more; return what arrived and was not taken."""
        if self._inbox is not None:
            await self._inbox.close()
        return tuple(self._arrived)


class Pull:
    """A share in a durable consumer; see `actors.bus.Puller`."""

    def __init__(self, wire: Wire, requests: Requests, unregister: Callable[[], None]) -> None:
        self._wire = wire
        self._requests = requests
        self._unregister = unregister

    async def fetch(self, batch: int, *, wait: bool) -> Sequence[Pulled]:
        """See `actors.bus.Puller`.

        What has arrived is handed out before more is asked for: nobody says meanwhile that it is
        in hand, so it would be given to somebody else.
        """
        requests = self._requests
        taken = requests.arrived(batch)
        if not taken:
            if requests.credit() == 0:
                await requests.ask(batch, linger=wait)
            taken = await self._brought(batch, wait=wait)
        return [Pulled(self._wire, message, tokens) for message, tokens in taken]

    async def _brought(self, batch: int, *, wait: bool) -> Sequence[tuple[Message, AckTokens]]:
        requests = self._requests
        if not wait:
            await requests.settle(batch)
            return requests.arrived(batch)
        while True:
            taken = await requests.take(batch)
            if taken or requests.credit() == 0:
                return taken

    async def close(self) -> None:
        """See `actors.bus.Puller`."""
        self._unregister()
        for message, tokens in await self._requests.close():
            await Pulled(self._wire, message, tokens).nak()
