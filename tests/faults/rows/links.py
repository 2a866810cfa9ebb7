"""L: links break, fall silent, or are slow. The actors reach NATS through a proxy."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from tests.faults.proxy import Proxy, proxied
from tests.faults.rows.row import Row
from tests.faults.scene import AGENT, CORE, Load, Scene, elsewhere
from tests.harness.nats_server import Server

NOTICED_S = 30.0
"""A link that is half-open is noticed, and its actor back, within this."""

ELSEWHERE = "agent-elsewhere"


class Wired(Scene):
    """A scene whose actors' links lead through `proxy`."""

    proxy: Proxy


@asynccontextmanager
async def wired(load: Load, tag: str) -> AsyncIterator[Scene]:
    """Actors and their supervisor behind a proxy; one agent more that nobody supervises."""
    with tempfile.TemporaryDirectory(prefix="conclave-faults-") as folder:
        server = Server(Path(folder), accounts=1)
        server.start()
        try:
            direct = server.account()
            assert direct is not None
            async with (
                proxied(server.port) as proxy,
                elsewhere(load, tag, replace(direct, url=proxy.url), direct, Wired) as scene,
            ):
                assert isinstance(scene, Wired)
                scene.proxy = proxy
                await scene.spawn("agent", ELSEWHERE)
                yield scene
        finally:
            server.kill()


async def cut(scene: Scene) -> None:
    """Every link is reset at once, and may be made anew."""
    assert isinstance(scene, Wired)
    async with scene.recovering():
        for link in scene.proxy.of():
            link.cut()
        await scene.back(*CORE, AGENT, ELSEWHERE)


async def half_open(scene: Scene, names: tuple[str, ...], victims: tuple[str, ...]) -> None:
    """Links stay open and carry nothing any more; new ones work."""
    assert isinstance(scene, Wired)
    async with scene.recovering(NOTICED_S):
        for name in names:
            for link in scene.proxy.of(name):
                link.swallows = True
        await scene.back(*victims)


async def slow(scene: Scene) -> None:
    """Every piece takes 50 to 150 ms each way, for as long as a pause."""
    assert isinstance(scene, Wired)
    scene.proxy.delay_ms = (50.0, 150.0)
    await scene.pause()
    scene.proxy.delay_ms = (0.0, 0.0)
    async with scene.recovering():
        await scene.back(*CORE, AGENT, ELSEWHERE)


def _silent(id_: str, whose: str, names: tuple[str, ...], victims: tuple[str, ...]) -> Row:
    fault = f"half-open link of {whose}"
    inject = partial(half_open, names=names, victims=victims)
    return Row(id=id_, fault=fault, inject=inject, stage=wired, weight=0.1)


ROWS = (
    Row(id="L1", fault="every link is cut", inject=cut, stage=wired, weight=0.5),
    _silent("L2", "the dispatcher", ("dispatcher ",), ("dispatcher",)),
    _silent("L3", "the collector", ("collector ",), ("collector",)),
    _silent("L4", "an agent", ("agent default-1",), (AGENT,)),
    _silent("L5", "an agent that nobody supervises", (f"agent {ELSEWHERE}",), (ELSEWHERE,)),
    _silent("L6", "everybody, the supervisor too", ("",), (*CORE, AGENT, ELSEWHERE)),
    Row(id="L7", fault="links of 100 ± 50 ms", inject=slow, stage=wired, weight=0.1),
)
