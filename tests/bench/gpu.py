"""What is the system worth on one NVIDIA card, beside vLLM's own offline throughput on it?

Models of random weights in the shapes of Qwen3-0.6B and Qwen3-8B (`tests/bench/shapes.py`). For
each, one after the other since each takes the card: vLLM alone (`LLM.generate`, everything at
once); the whole system, its five default councils of three seats and one council of fifteen, in
one pool or in two that share the card; the engine path, the prefix cache and the cancel latency
as their own benchmarks measure them.

Without a card the rows say `not run`, and a small shape goes the whole way on the CPU instead:
that is a check of this script and no figure of a GPU.
"""

import asyncio
import shutil
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.councils.defaults import default_councils
from actors.settings import PoolSettings
from schemas.council import Sampling
from schemas.result import Deliberation
from supervisor.config import Config, EmbeddedServer
from supervisor.up import running
from tests.bench import cancel_latency, engine_path, prefix_cache
from tests.bench.council import Council
from tests.bench.engine_load import Load
from tests.bench.measuring import Options, Result, median, percentile
from tests.bench.offline import Done, Job
from tests.bench.shapes import shaped

CARD_SHAPES = ("Qwen3-0.6B", "Qwen3-8B")
CHECK_SHAPE = "small"
ROLES = tuple(council.role for council in default_councils())
SEATS = 3
COUNCIL = (1, 15)
SHARE = 0.9
TASK = "Add retries with back-off to the billing client without charging twice"
COLUMNS = (
    "deliberations/s", "tokens/s", "offline", "of offline", "first token", "p99", "T(1)",
    "T(15)/T(1)", "memory MiB", "busy %", "path of direct", "path added ms", "prefix share",
    "cancel p99",
)  # fmt: skip
NOT_RUN = "not run"


class Size(Struct, frozen=True, kw_only=True):
    """How much is asked."""

    deliberations: int
    open_at_once: int
    max_tokens: int
    repeats: int
    texts: Mapping[int, int]
    lengths: Sequence[int]
    cancels: int


CARD = Size(
    deliberations=400,
    open_at_once=80,
    max_tokens=128,
    repeats=3,
    texts=engine_path.TEXTS,
    lengths=prefix_cache.LENGTHS,
    cancels=120,
)
CHECK = Size(
    deliberations=15,
    open_at_once=5,
    max_tokens=16,
    repeats=1,
    texts={1: 4, 64: 64},
    lengths=(500,),
    cancels=10,
)


async def measure(options: Options) -> Result:
    """Measure every shape that this machine can carry, and say of the others that they were not."""
    card = _has_card()
    size = CHECK if options.quick or not card else CARD
    details = {
        shape: await _measured(shape, size, card=card)
        for shape in (CARD_SHAPES if card else (CHECK_SHAPE,))
    }
    rows = [] if card else [_not_run(shape) for shape in CARD_SHAPES]
    rows += [row for found in details.values() for row in found]
    notes = [
        "first token and p99: ms after the agent took the seat up, under load;"
        " `of offline`: tokens/s over those of LLM.generate with as many texts of the same length."
    ]
    if not card:
        notes.append(f"no NVIDIA card here: `{CHECK_SHAPE}` on the CPU checks the script alone")
    return Result(bench="gpu", question=__doc__.partition("\n")[0], rows=rows, notes=notes)


def _has_card() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _not_run(shape: str) -> dict[str, Any]:
    return {"shape": shape, "on": "NVIDIA", "pools": NOT_RUN, **dict.fromkeys(COLUMNS, NOT_RUN)}


async def _measured(shape: str, size: Size, *, card: bool) -> list[dict[str, Any]]:
    """Return a row for one pool and, on a card, one for two pools that share it."""
    settings = PoolSettings(
        model=str(shaped(shape)),
        load_format="dummy",
        max_concurrency=256,
        max_model_len=prefix_cache.POSITIONS if card else 2_048,
        max_batched_tokens=8_192 if card else 4_096,
        kv_cache_mib=256,
        gpu_share=SHARE,
    )
    offline = await _offline(settings, size)
    beside = await _path(settings, size) | await _prefix(settings, size)
    beside |= await _cancel(settings, size)
    rows = []
    half = replace(settings, gpu_share=SHARE / 2)
    shared = {"first": replace(half, queues=ROLES[:2]), "default": half}
    for pools in ({"default": settings}, shared) if card else ({"default": settings},):
        figures = await _system(pools, size) | {"offline": offline}
        figures["of offline"] = figures["tokens/s"] / offline
        if len(pools) == 1:
            figures |= beside
        row = {"shape": shape, "on": "NVIDIA" if card else "CPU, a check", "pools": _told(pools)}
        rows.append(row | {column: figures.get(column) for column in COLUMNS})
    return rows


def _told(pools: Mapping[str, PoolSettings]) -> str:
    return ", ".join(f"{name} {settings.gpu_share:g}" for name, settings in pools.items())


async def _offline(settings: PoolSettings, size: Size) -> float:
    """Return vLLM's own tokens/s, with as many texts as the system's load has."""
    load = Load(
        name="offline",
        texts=SEATS * size.deliberations,
        in_flight=0,
        max_tokens=size.max_tokens,
    )
    job = msgspec.json.encode(Job(settings, load, size.repeats)).decode()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.offline", job, stdout=PIPE
    )
    said, _ = await process.communicate()
    done = msgspec.json.decode(said.splitlines()[-1], type=Done)
    pairs = zip(done.tokens, done.seconds, strict=True)
    return median([tokens / seconds for tokens, seconds in pairs])


async def _system(pools: Mapping[str, PoolSettings], size: Size) -> dict[str, Any]:
    """Run a whole system: five councils of three seats under load, then one of 1 and of 15."""
    config = Config(server=EmbeddedServer(port=0, temporary_store=True), pools=dict(pools))
    async with running(config) as system, Council(system.nats, max(COUNCIL)) as council:
        await _load(council, size.open_at_once, size, "warm-up")
        begun = time.perf_counter()
        async with _card_watched() as seen:
            over = await _load(council, size.deliberations, size, "load")
        seconds = time.perf_counter() - begun
        waits: dict[int, list[float]] = {seats: [] for seats in COUNCIL}
        for number in range(1 + 3 * size.repeats):
            for seats in COUNCIL:
                begun = time.perf_counter()
                task = f"({seats}.{number}) {TASK}"
                await council.ask(task, seats, max_tokens=size.max_tokens, seed=number)
                if number:
                    waits[seats].append(time.perf_counter() - begun)
    firsts = [each.proposal.timing.first_token_ms for one in over for each in one.results]
    single, whole = (median(waits[seats]) for seats in COUNCIL)
    return {
        "deliberations/s": len(over) / seconds,
        "tokens/s": sum(one.usage.completion_tokens for one in over) / seconds,
        "first token": percentile(firsts, 0.5),
        "p99": percentile(firsts, 0.99),
        "T(1)": 1000 * single,
        "T(15)/T(1)": whole / single,
        **_of_card(seen),
    }


async def _load(council: Council, count: int, size: Size, mark: str) -> list[Deliberation]:
    """Keep `open_at_once` deliberations open, the councils in turn, until all are over."""
    left = iter(range(count))

    async def loop() -> list[Deliberation]:
        return [
            await council.deliberate(
                f"({mark} {number}) {TASK}",
                ROLES[number % len(ROLES)],
                protocol="independent",
                sampling=Sampling(max_tokens=size.max_tokens, seed=number),
            )
            for number in left
        ]

    loops = await asyncio.gather(*(loop() for _ in range(size.open_at_once)))
    over = [one for found in loops for one in found]
    if failed := [one for one in over if one.status != "COMPLETED" or one.failures]:
        raise RuntimeError(f"{len(failed)} failed: {failed[0].reason} {failed[0].failures}")
    return over


@asynccontextmanager
async def _card_watched() -> AsyncIterator[list[tuple[float, float]]]:
    """Note memory in use (MiB) and share of time busy (%), five times a second."""
    seen: list[tuple[float, float]] = []
    program = shutil.which("nvidia-smi")
    if program is None:
        yield seen
        return
    asked = ("--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader,nounits")
    process = await asyncio.create_subprocess_exec(
        program, "--id=0", *asked, "--loop-ms=200", stdout=PIPE
    )
    try:
        yield seen
    finally:
        process.kill()
        said, _ = await process.communicate()
        for line in said.decode().splitlines():
            cells = line.split(",")
            if len(cells) == len(asked):
                seen.append((float(cells[0]), float(cells[1])))


def _of_card(seen: Sequence[tuple[float, float]]) -> dict[str, float]:
    if not seen:
        return {}
    return {"memory MiB": max(used for used, _ in seen), "busy %": median([b for _, b in seen])}


async def _path(settings: PoolSettings, size: Size) -> dict[str, float]:
    samples = await engine_path.compared(settings, size.texts, size.repeats)
    speed, added, _ = engine_path.bars(samples)
    return {"path of direct": speed.value, "path added ms": added.value}


async def _prefix(settings: PoolSettings, size: Size) -> dict[str, float]:
    """Return the worst share over all lengths and sizes of councils."""
    samples = await prefix_cache.asked(settings, size.lengths, size.repeats)
    shares = [
        median([one.cached / one.shared for one in found])
        for (_, seats), found in samples.items()
        if seats > 1
    ]
    return {"prefix share": min(shares)}


async def _cancel(settings: PoolSettings, size: Size) -> dict[str, float]:
    """Return the worse p99, in ms, of one deliberation alone and of one among others."""
    samples = await cancel_latency.cancelled(settings, size.cancels)
    told = [[ms for one in found for ms in one.told_ms] for found in samples.values()]
    return {"cancel p99": max(percentile(each, 0.99) for each in told)}
