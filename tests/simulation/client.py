"""nats-py's client, played: what `actors/bus/nats_core.py` needs, over a link that has faults.

All above it is the product's own: connection, bus, JetStream, pulling and following.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from typing import Any

from nats import errors

from actors.bus.nats_bus import NatsBus
from actors.settings import BusSettings
from tests.simulation.loop import OWNER, VirtualLoop
from tests.simulation.server import NO_HEADERS, Server, Subscriber, Wire
from tests.simulation.weather import Weather

MAX_PAYLOAD = 1_048_576
RECONNECT_S = 0.2

Receive = Callable[[Wire], Coroutine[Any, Any, None]]


class Subscription:
    """As nats-py's: `drain` waits for what came before, `unsubscribe` lets it go."""

    def __init__(self, client: "Client", subscriber: Subscriber) -> None:
        self._client = client
        self._subscriber = subscriber

    async def drain(self) -> None:
        await self._client.drained(self._subscriber)

    async def unsubscribe(self) -> None:
        self._subscriber.receive = _deaf
        self._client.leave(self._subscriber)


class Network:
    """The links of one world: their weather, and whether the server can be reached at all."""

    def __init__(self, loop: VirtualLoop, weather: Weather | None = None) -> None:
        self.loop = loop
        self.server = Server(loop)
        self.weather = weather or Weather()
        self.is_up = True
        self.clients: list[Client] = []
        self.numbers = itertools.count(1)
        self.sent = 0
        self.context = copy_context()
        self.context.run(OWNER.set, None)

    def crash(self, seconds: float) -> None:
        """Kill the server; it is back after so long."""
        self.is_up = False
        self.server.crash()
        for client in tuple(self.clients):
            client.cut(seconds)
        self.loop.call_later(seconds, self._back)

    def _back(self) -> None:
        self.is_up = True


class Client:
    """One connection. `weather` is its own when given, else the network's.

    A `sturdy` one is never cut, not even by the server's end: for whoever must miss nothing.
    """

    def __init__(
        self, network: Network, weather: Weather | None = None, *, sturdy: bool = False
    ) -> None:
        self.sturdy = sturdy
        self.is_connected = False
        self.is_closed = False
        self.max_payload = MAX_PAYLOAD
        self._reconnection_task = None
        self._network = network
        self._loop = network.loop
        self._weather = weather
        self._context = copy_context()
        self._options: dict[str, Any] = {}
        self._subscribers: list[Subscriber] = []
        self._life = 0
        """Which connection this is: what was sent over an earlier one never arrives."""
        self._out = self._in = 0.0
        self._deaf_until = 0.0
        self._number = next(network.numbers)
        self._inboxes = 0

    async def connect(self, **options: Any) -> None:
        self._options = options
        await asyncio.sleep(self._network.weather.delay_s)
        while not self._network.is_up:
            await asyncio.sleep(RECONNECT_S)
        self._network.clients.append(self)
        self.is_connected = True

    def new_inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX.{self._number}-{self._inboxes}"

    # ------------------------------------------------------------------------- to the server

    async def publish(
        self,
        subject: str,
        payload: bytes,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._check()
        self._network.sent += 1
        server = self._network.server
        for when in self._arrivals(self._out):
            self._out = max(self._out, when)
            self._up(when, server.receive, subject, payload, headers or NO_HEADERS, reply)

    def _check(self) -> None:
        if self.is_closed:
            raise errors.ConnectionClosedError
        if not self.is_connected:
            raise errors.OutboundBufferLimitError

    def _arrivals(self, previous: float) -> list[float]:
        now = self._loop.time()
        if now < self._deaf_until:
            return []
        weather = self._weather or self._network.weather
        return weather.arrivals(self._loop.draw, now, previous)

    def _up(self, when: float, act: Callable[..., Any], *arguments: Any) -> None:
        """Do something at the server, whatever becomes of the process that wished it."""
        context = self._network.context
        self._loop.call_at(when, self._reach, self._life, act, arguments, context=context)

    def _reach(self, life: int, act: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if self._network.is_up or self.sturdy:
            self._arrive(life, act, arguments)

    def _down(self, when: float, act: Callable[..., Any], *arguments: Any) -> None:
        """Do something in the process that holds this connection."""
        self._loop.call_at(when, self._arrive, self._life, act, arguments, context=self._context)

    def _arrive(self, life: int, act: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if life == self._life:
            act(*arguments)

    async def subscribe(self, subject: str, queue: str = "", cb: Receive | None = None) -> Any:
        self._check()
        subscriber = Subscriber(self, subject, queue, cb)
        self._subscribers.append(subscriber)
        self._out = max(self._out, self._loop.time() + self._network.weather.delay_s)
        self._up(self._out, self._enter, subscriber)
        return Subscription(self, subscriber)

    def _enter(self, subscriber: Subscriber) -> None:
        if not self.is_closed:
            self._network.server.subscribe(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """Tell the server that a subscription is over; what it has sent by then still comes."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)
        self._check()
        self._out = max(self._out, self._loop.time() + self._network.weather.delay_s)
        self._up(self._out, self._network.server.unsubscribe, subscriber)

    async def drained(self, subscriber: Subscriber) -> None:
        """Leave, and wait for what still comes."""
        self.leave(subscriber)
        left = self._loop.create_future()
        self._down(self._out + self._network.weather.delay_s, _resolve, left)
        await left

    # ----------------------------------------------------------------------- from the server

    def deliver(self, subscriber: Subscriber, messages: list[Wire]) -> None:
        for when in self._arrivals(self._in):
            self._in = max(self._in, when)
            self._down(when, self._receive, subscriber, messages)

    def _receive(self, subscriber: Subscriber, messages: list[Wire]) -> None:
        for message in () if self.is_closed else messages:
            _run(subscriber.receive(message))

    # --------------------------------------------------------------------------------- faults

    def cut(self, seconds: float) -> None:
        """Lose the link, with all that is on its way, for so long; then connect again."""
        if not self.is_connected or self.is_closed or self.sturdy:
            return
        self._lose()
        self._loop.call_soon(self._call, "disconnected_cb", context=self._context)
        self._loop.call_later(
            seconds + RECONNECT_S * self._loop.draw.random(), self._again, context=self._context
        )

    def black_hole(self, seconds: float) -> None:
        """Lose all that is sent either way for so long, unnoticed; then find out."""
        self._deaf_until = self._loop.time() + seconds
        self._loop.call_later(seconds, self.cut, 0.0, context=self._context)

    def _lose(self) -> None:
        self.is_connected = False
        self._life += 1
        self._network.server.drop(self)

    def _again(self) -> None:
        if self.is_closed:
            return
        if not self._network.is_up:
            self._loop.call_later(RECONNECT_S, self._again, context=self._context)
            return
        self.is_connected = True
        for subscriber in self._subscribers:
            self._network.server.subscribe(subscriber)
        self._call("reconnected_cb")

    def _call(self, name: str) -> None:
        if name in self._options and not self.is_closed:
            _run(self._options[name]())

    def kill(self) -> None:
        """The process is gone: what was sent may arrive, nothing more is sent or received."""
        if self in self._network.clients:
            self._network.clients.remove(self)
        self._network.server.drop(self)
        self._subscribers.clear()
        self.is_connected = False
        self.is_closed = True

    async def close(self) -> None:
        if not self.is_closed:
            self.kill()
            if "closed_cb" in self._options:
                await self._options["closed_cb"]()


def _run(callback: Coroutine[Any, Any, None]) -> None:
    """nats-py awaits its callbacks; ours never wait, so one step is all there is."""
    try:
        callback.send(None)
    except StopIteration:
        return
    raise AssertionError("a callback of nats_core.py waits")


async def _deaf(_: Any) -> None:
    """What comes for a subscription that is over is dropped."""


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def simulated_bus(
    network: Network, name: str, client: Client | None = None, timeout_s: float = 10.0
) -> NatsBus:
    """The product's bus on a played connection, `client` if given. Raises Unavailable."""
    bus = NatsBus(name)
    bus._nc = client or Client(network)
    await bus.open(BusSettings(url="simulated"), timeout_s)
    return bus
