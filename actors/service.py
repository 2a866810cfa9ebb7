"""Request/reply endpoints with NATS service discovery (ADR-32).

`nats.micro` is not used: it sends `repr(exception)` to callers, handles one request at a time
and drops queued requests on stop. Here every request is answered exactly once: by its handler's
reply, or by one typed error in two headers and a JSON body.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from actors import __version__
from actors.bus import Bus, BusError, Message, Subscription, TooLarge, Unavailable
from actors.replying import Reply, refusal, reply
from actors.settings import Limits
from schemas.codec import encode, read
from schemas.errors import Refused
from schemas.service import (
    Endpoint,
    EndpointStats,
    InfoReply,
    PingReply,
    StatsReply,
)

log = logging.getLogger(__name__)

RETRY_AFTER_MS = 250
"""When a request may come again that was one too many at a time: each takes milliseconds."""

Handle = Callable[[Any], Coroutine[Any, Any, Reply]]

Take = Callable[[Message], Coroutine[Any, Any, None]]
Refuse = Callable[[Message, Refused], Coroutine[Any, Any, None]]


class _Counted:
    """An endpoint with what it did. `take` answers a message, `refuse` turns one down."""

    def __init__(
        self, subject: str, queue: str, name: str, take: Take, refuse: Refuse, **metadata: str
    ) -> None:
        self.subject = subject
        self.queue = queue
        self.name = name
        self.take = take
        self.refuse = refuse
        self.metadata = metadata
        self.requests = 0
        self.errors = 0
        self.last_error = ""
        self.busy_ns = 0

    def info(self) -> Endpoint:
        return Endpoint(
            name=self.name,
            subject=self.subject,
            queue_group=self.queue,
            metadata=self.metadata,
        )

    def stats(self) -> EndpointStats:
        return EndpointStats(
            name=self.name,
            subject=self.subject,
            queue_group=self.queue,
            num_requests=self.requests,
            num_errors=self.errors,
            last_error=self.last_error,
            processing_time=self.busy_ns,
            average_processing_time=self.busy_ns // max(self.requests, 1),
        )


class Service:
    """One instance of a named service: its endpoints and its place in service discovery."""

    def __init__(
        self,
        bus: Bus,
        name: str,
        instance: str,
        description: str,
        *,
        limits: Limits | None = None,
        metadata: Callable[[], Mapping[str, str]] = dict,
        data: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.bus = bus
        self.name = name
        self.instance = instance
        self.limits = limits or Limits()
        self.unanswerable = 0
        self._description = description
        self._metadata = metadata
        self._data = data
        self._endpoints: list[_Counted] = []
        self._subscriptions: list[Subscription] = []
        self._discovery: list[Subscription] = []
        self._in_flight = 0
        self._started = datetime.now(UTC).isoformat()

    def endpoint(self, subject: str, kind: type[Any], handle: Handle) -> None:
        """Declare that `handle` answers `kind` on `subject`, which all instances share."""
        take = partial(self._answer, kind, handle)
        name, request = subject.replace(".", "-"), kind.__name__
        self._endpoints.append(
            _Counted(subject, self.name, name, take, self._refuse, request=request)
        )

    def raw_endpoint(
        self, name: str, subject: str, take: Take, refuse: Refuse, **metadata: str
    ) -> None:
        """Declare an endpoint that speaks another protocol: both send what it wants said.

        What `take` raises is turned down by `refuse`, as what is checked before it.
        """
        self._endpoints.append(_Counted(subject, self.name, name, take, refuse, **metadata))

    async def start(self) -> None:
        """Answer from now on; discovery comes last, so that who is seen is ready."""
        for endpoint in self._endpoints:
            handler = self._serving(endpoint)
            self._subscriptions.append(
                await self.bus.serve(endpoint.subject, handler, endpoint.queue)
            )
        for verb, answer in (("PING", self._ping), ("INFO", self._info), ("STATS", self._stats)):
            for subject in _discovery_subjects(verb, self.name, self.instance):
                self._discovery.append(await self.bus.serve(subject, self._answering(answer)))

    async def drain(self) -> None:
        """Leave discovery and the queue groups; what was received is still answered."""
        leaving = (*self._discovery, *self._subscriptions)
        await asyncio.gather(*(subscription.close() for subscription in leaving))
        self._discovery.clear()
        self._subscriptions.clear()

    def _serving(self, endpoint: _Counted) -> Callable[[Message], Coroutine[Any, Any, None]]:
        async def serve(message: Message) -> None:
            begun = time.perf_counter_ns()
            endpoint.requests += 1
            self._in_flight += 1
            try:
                await self._take(endpoint, message)
            finally:
                self._in_flight -= 1
                endpoint.busy_ns += time.perf_counter_ns() - begun

        return serve

    async def _take(self, endpoint: _Counted, message: Message) -> None:
        try:
            self._check(message)
            await endpoint.take(message)
        except Refused as refused:
            await self._turn_down(endpoint, message, refused)
        except Unavailable as error:
            log.warning("endpoint=%s unavailable error=%s", endpoint.subject, error)
            await self._turn_down(endpoint, message, Refused("unavailable", str(error)))
        except TooLarge as error:
            await self._turn_down(endpoint, message, Refused("too_large", str(error)))
        except Exception:
            log.exception("endpoint=%s failed", endpoint.subject)
            failure = Refused("internal", "the request failed inside")
            await self._turn_down(endpoint, message, failure)

    async def _turn_down(self, endpoint: _Counted, message: Message, refused: Refused) -> None:
        endpoint.errors += 1
        endpoint.last_error = f"{refused.code}: {refused.message}"[:200]
        if not message.reply:
            log.warning("endpoint=%s refused without reply code=%s", endpoint.subject, refused.code)
            return
        try:
            await endpoint.refuse(message, refused)
        except BusError as error:
            log.warning("endpoint=%s error reply not sent: %s", endpoint.subject, error)

    async def _answer(self, kind: type[Any], handle: Handle, message: Message) -> None:
        request = read(kind, message.body or b"{}", message.headers)
        body, headers = reply(message.headers, await handle(request))
        await self.bus.publish(message.reply, body, headers)

    def _check(self, message: Message) -> None:
        if not message.reply:
            self.unanswerable += 1
            raise Refused("bad_request", "no reply subject: nobody could be told the outcome")
        limit = self.limits.max_request_bytes
        if len(message.body) > limit:
            text = f"{len(message.body)} bytes are over the limit of {limit} bytes"
            raise Refused("too_large", text)
        if self._in_flight > self.limits.max_in_flight:
            text = f"{self._in_flight} requests in flight; try again later"
            raise Refused("overloaded", text, retry_after_ms=RETRY_AFTER_MS)

    async def _refuse(self, message: Message, refused: Refused) -> None:
        body, headers = refusal(message.headers, refused)
        await self.bus.publish(message.reply, body, headers)

    def _answering(
        self, answer: Callable[[], Any]
    ) -> Callable[[Message], Coroutine[Any, Any, None]]:
        async def serve(message: Message) -> None:
            if message.reply:
                with suppress(BusError):  # whoever asks asks again
                    await self.bus.publish(message.reply, encode(answer()))

        return serve

    def _identity(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "id": self.instance,
            "version": __version__,
            "metadata": dict(self._metadata()),
        }

    def _ping(self) -> PingReply:
        return PingReply(**self._identity())

    def _info(self) -> InfoReply:
        endpoints = tuple(endpoint.info() for endpoint in self._endpoints)
        return InfoReply(**self._identity(), description=self._description, endpoints=endpoints)

    def _stats(self) -> StatsReply:
        return StatsReply(
            **self._identity(),
            started=self._started,
            endpoints=tuple(endpoint.stats() for endpoint in self._endpoints),
            data={
                "unanswerable": self.unanswerable,
                "tasks": len(asyncio.all_tasks()),
                **self._data(),
            },
        )


def _discovery_subjects(verb: str, name: str, instance: str) -> tuple[str, ...]:
    return (f"$SRV.{verb}", f"$SRV.{verb}.{name}", f"$SRV.{verb}.{name}.{instance}")
