"""E: the real engine. Ray places one agent, whose vLLM runs in a child process of its own."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import psutil
from msgspec.structs import replace

from actors.engines.models import BUNDLED_NAME
from actors.settings import PoolSettings
from tests.faults.rows.row import Row
from tests.faults.scene import Load, Scene, living, supervised

POOL = "default"
BACK_S = 240.0
"""An engine loads its model anew; on two shared cores that takes a minute or two."""

SLOW_LOAD = {"per_second": 0.5, "timeout_s": 300.0}


@asynccontextmanager
async def with_engine(load: Load, tag: str) -> AsyncIterator[Scene]:
    """Everything on one machine with the bundled model, under a load that it can bear."""
    pool = PoolSettings(model=BUNDLED_NAME, default_max_tokens=64)
    async with supervised(replace(load, **SLOW_LOAD), tag, pools={POOL: pool}) as scene:
        yield scene


def _is_replica(process: psutil.Process) -> bool:
    return "ray::Replica" in process.name()


def _is_raylet(process: psutil.Process) -> bool:
    return "raylet" in process.name()


def _is_engine(process: psutil.Process) -> bool:
    """By how it was started as well: where its name cannot be set, vLLM goes on without."""
    return "VLLM::EngineCor" in process.name() or "multiprocessing.spawn" in str(process.cmdline())


async def kill_one(scene: Scene, is_it: Callable[[psutil.Process], bool]) -> None:
    """A process of the pool dies; who is above it notices, and all is placed anew."""
    victim = await _found(scene, is_it)
    async with scene.recovering(BACK_S):
        await scene.kill_process(victim)
        while (again := _find(scene, is_it)) is None or again == victim:
            await asyncio.sleep(0.1)
        await scene.back(POOL)
        await scene.ledger.flows()


async def kill_driver(scene: Scene) -> None:
    """The driver dies, and Ray, agent and engine with it."""
    async with scene.recovering(BACK_S):
        await scene.kill(POOL)
        await scene.back(POOL)
        await scene.ledger.flows()


async def _found(scene: Scene, is_it: Callable[[psutil.Process], bool]) -> psutil.Process:
    while (found := _find(scene, is_it)) is None:
        await asyncio.sleep(0.1)
    return found


def _find(scene: Scene, is_it: Callable[[psutil.Process], bool]) -> psutil.Process | None:
    pid = scene.system.pid(POOL)
    driver = living(pid) if pid is not None else None
    try:
        family = driver.children(recursive=True) if driver is not None else []
    except psutil.Error:
        return None  # it is going
    for each in family:
        with suppress(psutil.Error):  # a zombie, or going
            if is_it(each):
                return living(each.pid)
    return None


def _missing() -> str:
    return "" if importlib.util.find_spec("vllm") else "the engine is not installed"


def _row(number: int, whose: str, is_it: Callable[[psutil.Process], bool]) -> Row:
    return Row(
        id=f"E{number}",
        fault=f"kill -9 of {whose}",
        inject=partial(kill_one, is_it=is_it),
        stage=with_engine,
        weight=0.02,
        missing=_missing,
        slow=True,
    )


ROWS = (
    _row(1, "the agent that Ray placed", _is_replica),
    _row(2, "its vLLM engine's own process", _is_engine),
    _row(3, "Ray's raylet", _is_raylet),
    Row(
        id="E4",
        fault="kill -9 of the pool's driver",
        inject=kill_driver,
        stage=with_engine,
        weight=0.02,
        missing=_missing,
        slow=True,
    ),
)
