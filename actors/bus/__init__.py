"""What an actor may do with the bus, and what it may rely on. `actors/bus/nats_bus.py` does it.

publish    at most once, no acknowledgement
request    one reply or an error; an unknown outcome after a time-out
converse   many replies to one request, as they come
store      at least once until acknowledged; with `once` a compare-and-set
serve      a handler for each message, in a task of its own
listen     news, in order, taken note of at once
pull       work shared between instances; redelivered until acknowledged
follow     every stored message in stream order, gaps mended
last/scan  reads of what is stored
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec import Struct

from subjects.streams import ConsumerSpec, StreamSpec

Headers = Mapping[str, str]


class Message(Struct, frozen=True):
    """A message as it came in. `reply` is empty when nobody waits for an answer."""

    subject: str
    body: bytes
    headers: Headers
    reply: str = ""


class Record(Struct, frozen=True):
    """A stored message with its place and time (epoch ms) in the stream."""

    subject: str
    body: bytes
    headers: Headers
    sequence: int
    stored_ms: int


class Stored(Struct, frozen=True):
    """The stream's receipt; `duplicate` when the same message id was stored before."""

    sequence: int
    duplicate: bool


class BusError(Exception):
    """The bus did not do what was asked."""


class Unavailable(BusError):
    """No server, no stream or no room: the outcome is unknown or nothing was stored."""


class Disconnected(Unavailable):
    """The link is down: the server may know nothing of it, and need not be spared."""


class NoResponders(Unavailable):
    """The server says that nobody listens on the subject."""


class Conflict(BusError):
    """Compare-and-set failed: somebody else stored first."""


class TooLarge(BusError):
    """The message is over the server's `max_payload`; nothing was sent."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes are over the server's max_payload of {limit} bytes")
        self.size = size
        self.limit = limit


class Delivery(Protocol):
    """A pulled message that must be acknowledged, given back, or ended."""

    record: Record
    attempt: int
    """1 for the first delivery."""

    async def ack(self) -> None:
        """The work is done and its effect stored."""

    async def nak(self, delay_s: float = 0.0) -> None:
        """Deliver it again, to anybody, after `delay_s` seconds."""

    async def term(self) -> None:
        """Never deliver it again."""

    async def in_progress(self) -> None:
        """Still working: restart the server's ack_wait."""


class Puller(Protocol):
    """A share in a durable consumer."""

    async def fetch(self, batch: int, *, wait: bool) -> Sequence[Delivery]:
        """Up to `batch` deliveries that are there; with `wait`, some seconds for the first.

        Raises Unavailable when the consumer is gone and must be joined anew.
        """

    async def close(self) -> None:
        """Ask for nothing more and give back what was not fetched."""


class Subscription(Protocol):
    """A running `serve`."""

    async def close(self) -> None:
        """Take nothing new; what was received is still handled."""


Listener = Callable[[Message], None]
Replies = asyncio.Queue[Message]
"""Replies that came and were not yet taken note of."""

Handler = Callable[[Message], Coroutine[Any, Any, None]]


class Bus(Protocol):
    """The one way in and out of an actor."""

    name: str
    """Who is connected, as NATS monitoring shows it."""

    @property
    def max_payload(self) -> int:
        """The server's limit for one message in bytes, less some room for headers."""

    async def publish(self, subject: str, body: bytes, headers: Headers | None = None) -> None:
        """Send at most once. Raises TooLarge, Unavailable."""

    async def request(
        self, subject: str, body: bytes, headers: Headers | None = None, timeout_s: float = 5.0
    ) -> Message:
        """Send and wait for one reply. Raises TooLarge, Unavailable (no responder, time-out)."""

    def converse(self, subject: str, body: bytes) -> AbstractAsyncContextManager[Replies]:
        """Send, and receive every reply while the block lasts.

        That nobody listens is a reply too: without a body, with the header `Status: 503`; and so
        is that the link was lost, and replies with it: `Status: lost`.
        Raises TooLarge, Unavailable on entering.
        """

    async def gather(
        self, subject: str, body: bytes, stall_s: float, total_s: float
    ) -> Sequence[Message]:
        """Every reply until none came for `stall_s`, or `total_s` is over (NATS ADR-47)."""

    async def store(
        self,
        subject: str,
        body: bytes,
        *,
        message_id: str = "",
        once: str = "",
        after: int = 0,
        headers: Headers | None = None,
    ) -> Stored:
        """Append to the stream and wait for its receipt.

        `message_id` removes doubles inside the stream's duplicate window. `once`, a subject
        filter, makes it a compare-and-set: stored only if the last message matching it has
        sequence `after` (0: there is none). Raises Conflict, TooLarge, Unavailable.
        """

    async def serve(self, subject: str, handler: Handler, queue: str = "") -> Subscription:
        """Call `handler` for each message, concurrently, never letting one stop the others."""

    async def listen(self, subject: str, listener: Listener) -> Subscription:
        """Call `listener` for each message, one after the other: it must neither wait nor raise.

        For news that only changes what is remembered; what may take time goes to `serve`.
        """

    async def pull(self, consumer: ConsumerSpec) -> Puller:
        """Join a durable consumer, making it if it is not there. Raises Unavailable."""

    async def join(self, stream: str, consumer: str) -> Puller:
        """As `pull`, of a consumer that somebody else makes and removes. Raises Unavailable."""

    async def make_consumer(self, consumer: ConsumerSpec) -> None:
        """Make a durable consumer for others to pull from. Raises BusError."""

    async def remove_consumer(self, stream: str, consumer: str) -> None:
        """Remove a durable consumer, if there is one. Raises BusError."""

    async def acknowledged(self, stream: str, consumer: str) -> int | None:
        """Up to which sequence all that a consumer delivered is acknowledged.

        None when there is no such consumer. Raises BusError.
        """

    async def delivered(self, stream: str, consumer: str) -> int:
        """The newest sequence that a consumer has delivered to anybody.

        0 when it has delivered nothing, or there is no such consumer. Raises BusError.
        """

    def follow(
        self, stream: str, filters: Sequence[str], *, since_ms: int, after: int = 0
    ) -> AsyncGenerator[Record | None, None]:
        """Every message stored since `since_ms` (epoch) and from now on, in order, once.

        With a sequence `after`, every message behind that instead.
        Yields None once, when everything stored at the start has been yielded.
        """

    async def last(self, stream: str, filters: Sequence[str]) -> Sequence[Record]:
        """The last message of every subject that matches, in stream order."""

    async def scan(
        self, stream: str, subject: str, start: int = 1, batch: int = 256
    ) -> Sequence[Record]:
        """Up to `batch` messages matching `subject` from sequence `start`, in stream order."""

    async def last_sequence(self, stream: str) -> int:
        """The newest sequence of a stream."""

    async def sweep(self, stream: str) -> None:
        """Let the server notice attempts that are used up where nobody pulls any more.

        Raises BusError.
        """

    async def ensure(self, stream: StreamSpec, *, update: bool = False) -> None:
        """Make the stream if it is not there; with `update` bring it to this shape.

        Raises Unavailable.
        """

    async def healthy(self, timeout_s: float = 2.0) -> bool:
        """A round trip through the server, not what the client believes."""

    async def close(self) -> None:
        """Handle what was received, then leave."""
