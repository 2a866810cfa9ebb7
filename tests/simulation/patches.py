"""Where the product meets the outer world, replaced: clock, chance, NATS, processes."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID

from actors.bus.nats_bus import NatsBus
from actors.engines.engine import Engine
from actors.settings import BusSettings, PoolSettings
from tests.simulation.client import Client
from tests.simulation.engine import MoodyEngine
from tests.simulation.loop import OWNER, VirtualLoop
from tests.simulation.processes import SimulatedProcess

CHECKPOINT_S = 0.1
"""Faults come in seconds here: with the product's own pace few would meet a checkpoint."""

LOST_IN_A_ROW = 1
"""Few deliberations are asked for in a run: with the product's own patience no collector would
stand by."""


@contextmanager
def simulated() -> Iterator[None]:
    """Let the product find a played world wherever a `VirtualLoop` runs.

    Garbage is collected when all is over: what its end sets going (a forgotten generator's last
    step) would else come whenever the collector does, and the seed has no say in that.
    """
    replaced = {
        "actors.clock.time_ns": _wall_ns,
        "actors.deliberations.checkpoint.EVERY_S": CHECKPOINT_S,
        "actors.deliberations.standby.LOST_IN_A_ROW": LOST_IN_A_ROW,
        "actors.bus.nats_bus.connect": _connect,
        "actors.bus.nats_follow.uuid4": _uuid4,
        "secrets.token_hex": _token_hex,
        "supervisor.actor.connect": _connect,
        "supervisor.engines.start": _engine,
        "supervisor.supervisor.Process": SimulatedProcess,
        "supervisor.supervisor.time": SimpleNamespace(monotonic=_monotonic),
    }
    with ExitStack() as stack:
        for name, value in replaced.items():
            stack.enter_context(mock.patch(name, value))
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            gc.collect(1)


def _loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def _wall_ns() -> int:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return time.time_ns()
    return loop.wall_ns() if isinstance(loop, VirtualLoop) else time.time_ns()


def _monotonic() -> float:
    return _loop().time()


def _uuid4() -> UUID:
    return UUID(int=_loop().draw.getrandbits(128))


def _token_hex(count: int = 32) -> str:
    return _loop().draw.randbytes(count).hex()


async def _connect(settings: BusSettings, name: str, *, timeout_s: float = 10.0) -> NatsBus:
    world = _loop().world
    bus = NatsBus(name)
    client = Client(world.network)
    owner: Any = OWNER.get()
    if owner is not None:
        owner.clients.append(client)
    bus._nc = client
    await bus.open(settings, timeout_s)
    return bus


async def _engine(settings: PoolSettings) -> Engine:
    loop = _loop()
    return MoodyEngine(settings, loop.draw, loop.world.plan.moods)
