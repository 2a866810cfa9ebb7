"""Fixtures that everything shares: a real nats-server, and a world of its own for each test."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from actors.bus.nats_bus import NatsBus, connect
from actors.settings import BusSettings
from subjects.streams import streams
from tests.harness.nats_server import Server, Worlds
from tests.harness.system import System

hypothesis_settings.register_profile(
    "conclave",
    deadline=None,  # a busy machine is no defect
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("conclave")

LONG = ("slow", "clients")
"""Left out of a plain `pytest`: all of them, or some by name, run with CI=1, -m or a path."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the plain run short."""
    plain = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if os.environ.get("CI") or config.option.markexpr or not plain:
        return
    long = [item for item in items if any(map(item.get_closest_marker, LONG))]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in set(long)]


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """The servers that tests share which do not harm them."""
    worlds = Worlds(lambda: tmp_path_factory.mktemp("nats"))
    yield worlds
    worlds.close()


@pytest.fixture
def nats_settings(worlds: Worlds) -> BusSettings:
    """How to reach a server where nothing has happened yet."""
    return worlds.new()


@pytest.fixture
async def bus(nats_settings: BusSettings) -> AsyncIterator[NatsBus]:
    """A connection to a world whose three streams are empty."""
    bus = await connect(nats_settings, "test")
    for stream in streams(max_age_s=0, max_bytes=-1, replicas=1):
        await bus.ensure(stream)
    yield bus
    await bus.close()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers that a test may kill."""
    servers: list[Server] = []

    def make(**options: int) -> Server:
        folder = tmp_path / f"nats-{len(servers)}"
        folder.mkdir()
        server = Server(folder, **options)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def own_server(make_server: Callable[..., Server]) -> Server:
    """A server that this test may kill."""
    return make_server()


@pytest.fixture
async def own_bus(own_server: Server) -> AsyncIterator[NatsBus]:
    """A connection to `own_server`, with the three streams."""
    bus = await connect(own_server.account(), "test")
    for stream in streams(max_age_s=0, max_bytes=-1, replicas=1):
        await bus.ensure(stream)
    yield bus
    own_server.resume()
    await bus.close()


@pytest.fixture
async def system(nats_settings: BusSettings) -> AsyncIterator[System]:
    """An empty system with a client; tests add the actors they want."""
    system = await System.connected(nats_settings)
    yield system
    await system.close()


@pytest.fixture
async def council(system: System) -> System:
    """A system that works: the core actors and one agent with the scripted engine."""
    await system.core()
    await system.agent()
    return system
