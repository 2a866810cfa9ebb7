"""P: a process dies, hangs, or dies again and again."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.faults.rows.row import Row
from tests.faults.scene import AGENT, CORE, EVERYBODY, Scene, gone

LOOPS = 4
"""Deaths in a row; one more within 30 s and the shipped supervisor gives up, as it should."""


async def kill(scene: Scene, victim: str) -> None:
    """It dies by kill -9; its supervisor starts it anew."""
    async with scene.recovering():
        await scene.kill(victim)
        await scene.back(victim)


async def pause(scene: Scene, victim: str) -> None:
    """It hangs; its supervisor hears nothing through NATS, kills it and starts it anew."""
    async with scene.recovering():
        process = await scene.process(victim)
        process.suspend()
        await gone(process)
        await scene.back(victim)


async def crash_loop(scene: Scene, victim: str) -> None:
    """It dies as soon as it is there, four times, and lives the fifth time."""
    async with scene.recovering():
        for _ in range(LOOPS):
            await scene.kill(victim)
        await scene.back(victim)


async def kill_everybody(scene: Scene) -> None:
    """All six processes die in the same moment."""
    async with scene.recovering():
        await asyncio.gather(*(scene.kill(child) for child in EVERYBODY))
        await scene.back(*EVERYBODY)


async def kill_core(scene: Scene) -> None:
    """All four core actors die in the same moment; what agents answer waits in the stream."""
    async with scene.recovering():
        await asyncio.gather(*(scene.kill(child) for child in CORE))
        await scene.back(*CORE)


def _called(child: str) -> str:
    return "agent" if child == AGENT else child


def _of_each(first: int, fault: str, inject: Callable[..., Any], weight: float) -> Iterator[Row]:
    for number, child in enumerate(EVERYBODY, first):
        yield Row(
            id=f"P{number}",
            fault=fault.format(_called(child)),
            inject=partial(inject, victim=child),
            weight=weight,
        )


ROWS = (
    *_of_each(1, "kill -9 of the {}", kill, 1.0),
    *_of_each(7, "SIGSTOP of the {}", pause, 0.2),
    *_of_each(13, f"crash loop of the {{}}, {LOOPS} times", crash_loop, 0.2),
    Row(id="P19", fault="kill -9 of all core actors at once", inject=kill_core, weight=0.5),
    Row(id="P20", fault="kill -9 of everything at once", inject=kill_everybody, weight=0.5),
)
