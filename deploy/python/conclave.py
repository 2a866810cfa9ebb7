"""Conclave for Python programs: consult a council over NATS, with typed messages.

    async with conclave.connect() as client:
        result = await client.ask("How do we retry payments?", role="DEV")
        async for event in client.stream("The same, told as it is written", role="QA"):
            ...

    with conclave.connect() as client:  # the same without asyncio
        result = client.ask("How do we retry payments?", role="DEV")

Raises `Refused` (a typed error of the system: `code`, `message`, `path`), `Unavailable` (nobody
answers; ask again, with a `task_id` of your own nothing happens twice) and `TooLarge`.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from actors.asking import new_task_id
from actors.bus import TooLarge, Unavailable, nats_bus
from actors.settings import BusSettings
from schemas.council import Council, CouncilCreate, CouncilList, Sampling, Seat
from schemas.deliberation import (
    Accepted,
    Cancelled,
    Constraints,
    DeliberationRequest,
    ListQuery,
)
from schemas.errors import Refused
from schemas.progress import Progress, SeatAnswered, SeatFailed, SeatStarted, TextDelta
from schemas.result import Deliberation, Page, Proposal, Ranked, Stats
from supervisor import client
from supervisor.reaching import bus_settings

__all__ = [
    "Accepted",
    "BusSettings",
    "Cancelled",
    "Client",
    "Constraints",
    "Council",
    "CouncilCreate",
    "CouncilList",
    "Deliberation",
    "DeliberationRequest",
    "Event",
    "ListQuery",
    "Page",
    "Progress",
    "Proposal",
    "Ranked",
    "Refused",
    "Sampling",
    "Seat",
    "SeatAnswered",
    "SeatFailed",
    "SeatStarted",
    "Stats",
    "SyncClient",
    "TextDelta",
    "TooLarge",
    "Unavailable",
    "connect",
]

P = ParamSpec("P")
T = TypeVar("T")
Event = Accepted | Progress | Deliberation


class Client(client.Client):
    """A connected client. Every call of `supervisor.client.Client`, and those that do more."""

    async def ask(self, task_description: str, /, role: str = "DEV", **fields: Any) -> Deliberation:
        """Ask a council and wait for its outcome, whatever that is; see `status`.

        `fields` are those of `DeliberationRequest`.
        """
        async with aclosing(self.stream(task_description, role, **fields)) as events:
            async for event in events:
                if isinstance(event, Deliberation):
                    return event
        raise AssertionError("a stream ends with its outcome")

    async def stream(
        self, task_description: str, /, role: str = "DEV", **fields: Any
    ) -> AsyncGenerator[Event, None]:
        """Ask a council; yield the acknowledgement, what the seats do live, and the outcome."""
        fields.setdefault("task_id", new_task_id())
        request = DeliberationRequest(task_description=task_description, role=role, **fields)
        async with self.watching(fields["task_id"]) as events:
            accepted = await self.submit(request)
            yield accepted
            if accepted.duplicate and (known := await self.ended(accepted.task_id)) is not None:
                yield known  # its event has passed by
                return
            async for event in events:
                yield event


class _Call(Generic[P, T]):
    """A call of `Client`, made from any thread and waited for."""

    def __init__(self, call: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    def __get__(self, owner: "SyncClient", _: type) -> Callable[P, T]:
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return owner.run(self._call(owner.client, *args, **kwargs))

        return call


class SyncClient:
    """The calls of `Client` without asyncio; its connection lives in a thread of its own."""

    ask = _Call(Client.ask)
    submit = _Call(Client.submit)
    hand_in = _Call(Client.hand_in)
    get = _Call(Client.get)
    wait = _Call(Client.wait)
    list = _Call(Client.list)
    cancel = _Call(Client.cancel)
    recount = _Call(Client.recount)
    stats = _Call(Client.stats)
    councils = _Call(Client.councils)
    council = _Call(Client.council)
    create_council = _Call(Client.create_council)
    delete_council = _Call(Client.delete_council)

    def __init__(self) -> None:
        self.client: Client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="conclave", daemon=True)
        self._thread.start()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run any coroutine of the client's where it lives."""
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def stream(self, task_description: str, role: str = "DEV", **fields: Any) -> Iterator[Event]:
        """See `Client.stream`."""
        events = self.client.stream(task_description, role, **fields)

        async def following() -> Event | None:
            return await anext(events, None)

        try:
            while (event := self.run(following())) is not None:
                yield event
        finally:
            self.run(events.aclose())

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class connect:  # noqa: N801 -- called like a function
    """A connection for the time of an `async with`, or of a plain `with`.

    `server` is a URL, or settings with credentials; without it `$NATS_URL`, the selected context of
    the nats CLI, or 127.0.0.1:4222. A lost connection comes back by itself. `timeout_s` is how long
    to wait for a server, and for each reply. Raises Unavailable, ConfigError, ContextError.
    """

    def __init__(self, server: str | BusSettings = "", *, timeout_s: float = 5.0) -> None:
        self._settings = bus_settings(server) if isinstance(server, str) else server
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Client:
        self._bus = await nats_bus.connect(
            self._settings, "conclave-client", timeout_s=self._timeout_s
        )
        return Client(self._bus, self._timeout_s)

    async def __aexit__(self, *_: object) -> None:
        await self._bus.close()

    def __enter__(self) -> SyncClient:
        self._sync = SyncClient()
        try:
            self._sync.client = self._sync.run(self.__aenter__())
        except BaseException:
            self._sync.stop()
            raise
        return self._sync

    def __exit__(self, *_: object) -> None:
        try:
            self._sync.run(self.__aexit__())
        finally:
            self._sync.stop()
