"""The storm: everybody dies by kill -9 at moments of their own, several at a time, for long."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

from tests.faults.rows.row import Row
from tests.faults.scene import EVERYBODY, Load, Scene, supervised
from tests.faults.table import CALM_S, GRACE_S, Finding, finding

PAUSE_S = {"nats-server": 10.0}
"""The mean time between a victim's return and its next death; of the others:"""

OTHERS_PAUSE_S = 1.5
TELL_S = 30.0
SLOW_S = 10.0
"""Who needs longer is told of."""


async def kill_all_the_time(scene: Scene, kills: int) -> None:
    """Until there were so many kills, each victim dies, is back, and lives for a random while."""
    seeded = random.Random(kills)
    async with asyncio.TaskGroup() as tasks:
        for victim in EVERYBODY:
            tasks.create_task(_haunt(scene, victim, kills, random.Random(seeded.random())))


async def _haunt(scene: Scene, victim: str, kills: int, rng: random.Random) -> None:
    pause_s = PAUSE_S.get(victim, OTHERS_PAUSE_S)
    await asyncio.sleep(rng.uniform(0, pause_s))
    while scene.kills < kills:
        async with scene.recovering():
            await scene.kill(victim)
            await scene.back(victim)
        if (back_s := scene.recoveries[-1]) is None or back_s > SLOW_S:
            print(f"     {victim} was back after {back_s} s", flush=True)
        await asyncio.sleep(rng.expovariate(1 / pause_s))


async def storm(
    load: Load, kills: int, deliberations: int, told: Callable[[Finding], None]
) -> Finding:
    """Run a storm of at least so many kills and deliberations."""
    row = Row(id="X1", fault="kill -9 of everybody, several at a time", inject=_nothing)
    if kills <= 0:
        return Finding(id=row.id, fault=row.fault, skipped="there were kills enough")
    begun = time.monotonic()
    async with supervised(load, "storm") as scene:
        telling = asyncio.create_task(_tell(scene, kills))
        async with scene.ledger.load(load.per_second):
            await asyncio.sleep(CALM_S)
            await kill_all_the_time(scene, kills)
            while scene.ledger.sent < deliberations:
                await asyncio.sleep(CALM_S)
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling
        await scene.ledger.settled(load.timeout_s + GRACE_S)
        found = finding(row, scene, scene.kills, begun)
    told(found)
    return found


async def _tell(scene: Scene, kills: int) -> None:
    while True:
        await asyncio.sleep(TELL_S)
        print(f"     {scene.kills} of {kills} kills, {scene.ledger.sent} sent", flush=True)


async def _nothing(_: Scene) -> None:
    return
