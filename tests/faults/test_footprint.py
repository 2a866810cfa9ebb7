"""A running system can be reached from this machine alone, and leaves nothing when it stops."""

import asyncio
import importlib.util
import socket
import sys
from asyncio.subprocess import PIPE

import psutil
import pytest

from actors.settings import PoolSettings
from supervisor.config import Config, EmbeddedServer
from supervisor.up import CORE, running
from tests.bench import models
from tests.faults import footprint
from tests.faults.footprint import Footprint, Listener

needs_vllm = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None, reason="the engine is not installed"
)


def whole(pool: PoolSettings) -> Config:
    return Config(server=EmbeddedServer(port=0, temporary_store=True), pools={"default": pool})


async def stopped_footprint(pool: PoolSettings, agents: str) -> Footprint:
    """Run a system and stop it; everything but the footprint itself is asserted here."""
    async with running(whole(pool)) as system:
        found = footprint.of(system, ("nats-server", *CORE, agents))
    assert found.exposed == []
    assert await footprint.remains(found) == []
    return found


@pytest.mark.slow
async def test_scripted_system_listens_on_loopback_with_two_ports_and_leaves_nothing():
    pool = PoolSettings(engine="scripted")
    found = await stopped_footprint(pool, "default-1")
    assert len(found.processes) == 6
    assert len(found.listeners) == 2  # nats-server: its clients', and its monitoring


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.timeout(300)
@needs_vllm
async def test_system_with_ray_and_vllm_listens_on_loopback_and_leaves_nothing():
    *_, model = models.available().values()
    found = await stopped_footprint(PoolSettings(model=str(model)), "default")
    assert len(found.processes) > 6
    assert found.listeners


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_no_exposure(address):
    assert Footprint((), (Listener("x", "tcp", address, 1),)).exposed == []


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "fe80::1%eth0"])  # noqa: S104
def test_every_other_address_is_an_exposure(address):
    listener = Listener("x", "tcp", address, 1)
    assert Footprint((), (listener,)).exposed == [listener]


async def test_what_remains_is_found():
    with socket.create_server(("127.0.0.1", 0)) as server:
        left = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=PIPE)
        try:
            port = server.getsockname()[1]
            listener = Listener("x", "tcp", "127.0.0.1", port)
            planted = Footprint((psutil.Process(left.pid),), (listener,))
            found = await footprint.remains(planted, patience_s=0.0)
        finally:
            left.kill()
            await left.communicate()
    assert len(found) == 2
    assert f"port {port}" in found
