"""Buses over a real server and over the played one of `tests/simulation`, which must be alike."""

import asyncio
import time
from asyncio import AbstractEventLoop, new_event_loop
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from actors.bus.nats_bus import NatsBus, connect
from subjects.streams import streams
from tests.simulation.client import Network, simulated_bus
from tests.simulation.loop import VirtualLoop

Join = Callable[[str], Awaitable[NatsBus]]


def now_s() -> float:
    """The clock that the loop goes by."""
    return asyncio.get_running_loop().time()


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], AbstractEventLoop]]:
    """The product runs on uvloop where it is there, and must keep its promises on both."""
    real = {"asyncio": new_event_loop, "uvloop": uvloop.new_event_loop}
    contract = item.path.stem.startswith("test_contract_")
    return real | ({"simulated": VirtualLoop} if contract else {})


@pytest.fixture
async def join(request: pytest.FixtureRequest) -> Join:
    """How to connect to a world where nothing has happened yet."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        network = Network(loop)
        return lambda name: simulated_bus(network, name)
    settings = request.getfixturevalue("nats_settings")
    return lambda name: connect(settings, name)


@pytest.fixture
async def bus(join: Join) -> AsyncIterator[NatsBus]:
    """A connection to a world whose three streams are empty."""
    bus = await join("test")
    for stream in streams(max_age_s=0, max_bytes=-1, replicas=1):
        await bus.ensure(stream)
    yield bus
    await bus.close()


@pytest.fixture
async def other(bus: NatsBus, join: Join) -> AsyncIterator[NatsBus]:
    """A second connection to the world of `bus`."""
    del bus
    other = await join("other")
    yield other
    await other.close()


@pytest.fixture
async def wall_ms() -> Callable[[], int]:
    """The wall clock of the world: epoch milliseconds."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        return lambda: loop.wall_ns() // 1_000_000
    return lambda: time.time_ns() // 1_000_000
