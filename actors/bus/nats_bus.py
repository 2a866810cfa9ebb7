"""The bus over NATS: JetStream on top of one connection."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from actors.bus import (
    Disconnected,
    Headers,
    Message,
    NoResponders,
    Record,
    Stored,
    Unavailable,
    jetstream,
    nats_follow,
    nats_pull,
)
from actors.bus.nats_api import JetStreamApi
from actors.bus.replies import LINK_LOST, NO_RESPONDERS, STATUS
from actors.bus.retry_budget import RetryBudget
from actors.settings import BusSettings
from schemas.version import SCHEMA_HEADERS
from subjects.streams import ConsumerSpec

ATTEMPT_S = 2.0
RETRY_WAIT_S = 0.1
LONGEST_WAIT_S = 2.0
STORE_DEADLINE_S = 10.0
FIRST_REPLY_S = (2.0, 3.0, 5.0)
"""Patience of each attempt to read: a server that was cut off is asked by others for a while."""
PART_BYTES = 32 * 1024 * 1024
"""Asked for at a time of a long answer: a quarter of what nats-server keeps for slow readers."""

_BATCH_ENDS = ("204", "404", "408", "413", NO_RESPONDERS, LINK_LOST)
_ENDS = (NO_RESPONDERS, LINK_LOST)


async def connect(settings: BusSettings, name: str, *, timeout_s: float = 10.0) -> "NatsBus":
    """Return a connected bus. Raises Unavailable, as `Connection.open` does."""
    bus = NatsBus(name)
    await bus.open(settings, timeout_s)
    return bus


class NatsBus(JetStreamApi):
    """`actors.bus.Bus` over one NATS connection."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._requests: dict[nats_pull.Requests, None] = {}
        self._budget = RetryBudget(asyncio.get_running_loop().time())

    def on_reconnected(self) -> None:
        """Pull requests sent to the server that went are sent anew."""
        for requests in self._requests:
            requests.reset()

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
        """See `actors.bus.Bus`.

        An attempt of unknown outcome is repeated as it was: the message id or the
        compare-and-set makes that harmless. What the server could not do is tried again after
        pauses that double, and as often as the retry budget allows; what never reached it, soon.
        """
        sent = {**SCHEMA_HEADERS, **(headers or {})}
        if message_id:
            sent[jetstream.MESSAGE_ID] = message_id
        if once:
            sent[jetstream.EXPECTED_LAST] = str(after)
            sent[jetstream.EXPECTED_LAST_FILTER] = once
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STORE_DEADLINE_S
        self._budget.earn(loop.time())
        pause_s = RETRY_WAIT_S
        while True:
            try:
                reply = await self.request(subject, body, sent, ATTEMPT_S)
                return jetstream.receipt(reply.body)
            except Unavailable as error:
                wait_s = RETRY_WAIT_S
                budgeted = not isinstance(error, Disconnected)
                if budgeted:
                    wait_s = max(pause_s, self._budget.spend(loop.time()))
                    pause_s = min(2 * pause_s, LONGEST_WAIT_S)
                if loop.time() + wait_s > deadline:
                    if budgeted:
                        self._budget.give_back()
                    raise
            await asyncio.sleep(wait_s)

    async def _collect(
        self,
        subject: str,
        body: bytes,
        *,
        stall_s: float,
        total_s: float,
        last: Callable[[Message], bool],
        first_s: float = math.inf,
    ) -> list[Message]:
        gathered: list[Message] = []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + total_s
        async with self.converse(subject, body) as replies:
            while (left := deadline - loop.time()) > 0:
                try:
                    async with asyncio.timeout(min(left, stall_s if gathered else first_s)):
                        reply = await replies.get()
                except TimeoutError:
                    break
                gathered.append(reply)
                if last(reply):
                    break
        return gathered

    async def gather(
        self, subject: str, body: bytes, stall_s: float, total_s: float
    ) -> Sequence[Message]:
        """See `actors.bus.Bus`."""
        replies = await self._collect(subject, body, stall_s=stall_s, total_s=total_s, last=_is_end)
        return [reply for reply in replies if not _is_end(reply)]

    async def _direct_get(
        self, stream: str, query: dict[str, Any], batch: int | None = None
    ) -> list[Record]:
        """Read what a query finds, at most `batch`, in parts that the server's buffer holds.

        How an answer goes on is told in ADR-31 of nats-server.
        """
        records: list[Record] = []
        query["max_bytes"] = PART_BYTES
        while True:
            part, end = await self._part(stream, query)
            records += part
            if not part or len(records) == batch or not int(end.get(jetstream.PENDING, "0")):
                return records
            query["seq"] = part[-1].sequence + 1
            if batch is not None:
                query["batch"] = batch - len(records)
            else:
                query["up_to_seq"] = int(end[jetstream.UP_TO])

    async def _part(
        self, stream: str, query: Mapping[str, Any]
    ) -> tuple[Sequence[Record], Headers]:
        """One answer, and the headers of its end."""
        subject = f"$JS.API.DIRECT.GET.{stream}"
        body = jetstream.encode(query)
        replies: list[Message] = []
        for first_s in FIRST_REPLY_S:
            replies = await self._collect(
                subject, body,
                first_s=first_s, stall_s=ATTEMPT_S, total_s=STORE_DEADLINE_S, last=_ends_batch,
            )  # fmt: skip
            if replies:
                break
        if not replies or not _ends_batch(replies[-1]):
            raise Unavailable(f"reading from {stream} was cut short")
        end = replies.pop().headers
        status = end.get(STATUS)
        if status == LINK_LOST:
            raise Disconnected(f"the link was lost while reading from {stream}")
        if status == NO_RESPONDERS:
            raise NoResponders(f"there is no stream {stream}")
        if status not in ("204", "404"):
            raise Unavailable(f"reading from {stream} failed with status {status}")
        return [jetstream.direct_record(reply.headers, reply.body) for reply in replies], end

    async def last(self, stream: str, filters: Sequence[str]) -> Sequence[Record]:
        """See `actors.bus.Bus`."""
        return await self._direct_get(stream, {"multi_last": list(filters)})

    async def scan(
        self, stream: str, subject: str, start: int = 1, batch: int = 256
    ) -> Sequence[Record]:
        """See `actors.bus.Bus`."""
        query = {"seq": max(start, 1), "next_by_subj": subject, "batch": batch}
        return await self._direct_get(stream, query, batch)

    async def pull(self, consumer: ConsumerSpec) -> nats_pull.Pull:
        """See `actors.bus.Bus`."""
        await self.make_consumer(consumer)
        return await self.join(consumer.stream, consumer.durable)

    async def join(self, stream: str, consumer: str) -> nats_pull.Pull:
        """See `actors.bus.Bus`."""
        requests = nats_pull.Requests(self, stream, consumer)
        await requests.open()
        return nats_pull.Pull(self, requests, self._register(requests))

    def _register(self, requests: nats_pull.Requests) -> Callable[[], None]:
        self._requests[requests] = None
        return lambda: self._requests.pop(requests, None)

    def follow(
        self, stream: str, filters: Sequence[str], *, since_ms: int, after: int = 0
    ) -> AsyncGenerator[Record | None, None]:
        """See `actors.bus.Bus`."""
        return nats_follow.follow(
            self, self._register, stream, filters, since_ms=since_ms, after=after
        )


def _is_end(message: Message) -> bool:
    return message.headers.get(STATUS) in _ENDS


def _ends_batch(message: Message) -> bool:
    return message.headers.get(STATUS, "") in _BATCH_ENDS
