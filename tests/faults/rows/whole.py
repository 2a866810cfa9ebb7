"""W: the whole system is stopped, restarted, or run twice."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from actors.settings import BusSettings
from supervisor import nats_server
from supervisor.config import INHERITED, EmbeddedServer, handed_over
from supervisor.process import Process
from supervisor.spec import ChildSpec
from tests.faults.rows.row import Row
from tests.faults.scene import EVERYBODY, Load, Scene, gone, shipped, supervised

STOP_S = 10.0
"""What the supervisor promises for an orderly stop, however much is to be done."""

FULL_LOAD = 80.0
"""A second: four times the load of other rows, and as much as two busy cores can do."""

SERVICES = ("registry", "dispatcher", "collector", "responder", "agent")


async def rolling_restart(scene: Scene) -> None:
    """Every process is told to stop and is started anew, one after the other."""
    for child in EVERYBODY:
        async with scene.recovering():
            process = await scene.process(child)
            process.terminate()
            await gone(process)
            await scene.back(child)


@asynccontextmanager
async def two_of_each(load: Load, tag: str) -> AsyncIterator[Scene]:
    """A second dispatcher and a second collector, as on another machine."""
    async with supervised(load, tag) as scene:
        await scene.spawn("dispatcher", "second-dispatcher")
        await scene.spawn("collector", "second-collector")
        yield scene


async def lose_one_of_each(scene: Scene) -> None:
    """Two of each work side by side; one pair dies; the other, paused after it, comes back late."""
    pair = ("dispatcher", "collector")
    async with scene.recovering():
        await asyncio.gather(*map(scene.kill, pair))
        await scene.answered("conclave-dispatcher")
        await scene.answered("conclave-collector")
    await scene.back(*pair)
    second = [await scene.process(f"second-{kind}") for kind in pair]
    for process in second:
        process.suspend()
    await scene.pause()
    async with scene.recovering():
        for process in second:
            process.resume()
        await scene.back(*(f"second-{kind}" for kind in pair))


class Commanded(Scene):
    """`conclave up` as a person starts it, again and again, over the same store."""

    command: Process

    async def start(self) -> None:
        """Start it; return when every actor answers."""
        spec = ChildSpec(
            id="up",
            argv=(sys.executable, "-m", "supervisor", "up"),
            env={INHERITED: handed_over(self.config)},
        )
        self.command = await Process.start(spec, lambda _: None)


@asynccontextmanager
async def commanded(load: Load, tag: str) -> AsyncIterator[Commanded]:
    """`conclave up` on a port and a store that stay the same."""
    with tempfile.TemporaryDirectory(prefix="conclave-faults-") as folder:
        server = nats_server.settled(EmbeddedServer(port=0, store_dir=folder))
        scene = Commanded(load, shipped(load, server=server))
        scene.nats = BusSettings(url=nats_server.url(server))
        await scene.start()
        try:
            async with scene.observed(tag):
                for service in SERVICES:
                    await scene.answered(f"conclave-{service}")
                yield scene
        finally:
            await scene.command.terminate(STOP_S + 5.0)


async def stop_and_start(scene: Scene) -> None:
    """SIGTERM under full load: out within 10 s with exit code 0; then up again."""
    assert isinstance(scene, Commanded)
    async with scene.recovering():
        begun = time.monotonic()
        os.kill(scene.command.pid, signal.SIGTERM)
        await scene.command.exited.wait()
        stopped_s = time.monotonic() - begun
        if scene.command.code != 0 or stopped_s > STOP_S:
            code = scene.command.code
            scene.problems.append(f"stopped after {stopped_s:.1f} s with exit code {code}")
        await scene.start()
        for service in SERVICES:
            await scene.answered(f"conclave-{service}")


@asynccontextmanager
async def commanded_under_full_load(load: Load, tag: str) -> AsyncIterator[Commanded]:
    """The same with so much to do that much is in hand when the signal comes."""
    async with commanded(replace(load, per_second=FULL_LOAD), tag) as scene:
        yield scene


ROWS = (
    Row(id="W1", fault="rolling restart of everything", inject=rolling_restart, weight=0.2),
    Row(
        id="W2",
        fault="two dispatchers and two collectors, one pair dies, the other pauses",
        inject=lose_one_of_each,
        stage=two_of_each,
        weight=0.1,
    ),
    Row(
        id="W3",
        fault=f"SIGTERM under full load ({FULL_LOAD:g} a second), then up again",
        inject=stop_and_start,
        stage=commanded_under_full_load,
        weight=0.2,
    ),
)
