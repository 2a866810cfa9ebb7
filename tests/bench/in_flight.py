"""What does an open deliberation cost? Up to 10,000 at a time, of three seats that do not answer.

    waiting    the agent has 64 slots: the other seats wait in the stream
    speaking   every seat is in the agent's hands, and told to nats-server as in progress

Memory is the growth of a process's resident set since nothing was open, cores what it used of the
processor while nothing new was asked; acknowledgements are timed one at a time while all the
others stay open.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import psutil
from msgspec.structs import replace

from actors.settings import Limits
from schemas.deliberation import Constraints
from supervisor.config import Config
from supervisor.up import RunningSystem, running
from tests.bench.asking import Asking
from tests.bench.measuring import Options, Plot, Result, percentile, scripted

OPEN = (1, 10, 100, 1_000, 10_000)
SEATS = 3
ROLES = ("DEV", "QA", "ARCHITECT", "DEVOPS", "DATA")
"""Five queues, since each hands out 8,192 requests at a time at most (`max_ack_pending`)."""

SLOTS = {"waiting": 64, "speaking": SEATS * max(OPEN) * 2}
SILENT_MS = 3_000_000.0
PROCESSES = {
    "dispatcher": "dispatcher",
    "collector": "collector",
    "agent": "default-1",
    "nats": "nats-server",
}
AT_ONCE = 64
PROBES = 200
WATCHED_S = 4.0
HANDED_OUT_S = 120.0
TOLD_FROM = 1_000
"""Fewer vanish in what nats-server's heap grows and shrinks by itself."""

MODE = ("seats are",)
TIMES = ("ack p50", "ack p99")
Memory = Mapping[str, int]


async def measure(options: Options) -> Result:
    """Fill one system after the other, and look at it on the way."""
    rows: list[dict[str, Any]] = []
    sizes = OPEN[:3] if options.quick else OPEN
    for mode, slots in SLOTS.items():
        async with running(_config(slots)) as system, Asking(system.nats) as client:
            rows += [row async for row in _fill(system, client, mode, sizes, options)]
    return Result(
        bench="in_flight",
        question=(__doc__ or "").partition("\n")[0],
        rows=rows,
        plots=(
            Plot(title="memory", x="open", y=("MiB",), by=MODE, unit="MiB", log_x=True, log_y=True),
            Plot(
                title="acknowledgement",
                x="open",
                y=TIMES,
                by=MODE,
                unit="ms",
                log_x=True,
                log_y=True,
            ),
        ),
        notes=(
            "MiB: growth of the four processes together; KiB: a deliberation's share of each."
            " Acknowledgements in ms.",
        ),
    )


def _config(slots: int) -> Config:
    config = scripted(SILENT_MS)
    pools = {name: replace(pool, max_concurrency=slots) for name, pool in config.pools.items()}
    return replace(config, pools=pools, limits=Limits(max_backlog=2 * max(OPEN)))


async def _fill(
    system: RunningSystem, client: Asking, mode: str, sizes: Sequence[int], options: Options
) -> AsyncIterator[dict[str, Any]]:
    probes = 20 if options.quick else PROBES
    roles = cycle(ROLES)
    await _probe(client, probes)
    processes = {name: psutil.Process(system.pid(child)) for name, child in PROCESSES.items()}
    before: Memory = {}
    held = 0
    for size in (0, *sizes):
        await _open(client, list(islice(roles, size - held)))
        held = size
        await _handed_out(client, min(SLOTS[mode], SEATS * held))
        now = _memory(processes)
        before = before or now
        yield {
            MODE[0]: mode,
            "open": held,
            **_growth(before, now, held),
            "cores": await _cores(processes, WATCHED_S / (4 if options.quick else 1)),
            **_times(await _probe(client, probes)),
        }


async def _open(client: Asking, roles: Sequence[str]) -> None:
    left = iter(roles)

    async def loop() -> None:
        for role in left:
            await client.open(**_fields(role))

    await asyncio.gather(*(loop() for _ in range(AT_ONCE)))


async def _probe(client: Asking, count: int) -> list[float]:
    """Open so many, one at a time, and cancel each once it is acknowledged."""
    acks = []
    for _ in range(count):
        asked = await client.open(**_fields(ROLES[0]))
        acks.append(asked.ack_ms)
        await client.cancel(asked.task_id)
    return acks


def _fields(role: str) -> dict[str, Any]:
    return {
        "task_description": "Add retries with back-off to the billing client",
        "role": role,
        "num_agents": SEATS,
        "protocol": "independent",
        "constraints": Constraints(timeout_seconds=3_600.0),
    }


async def _handed_out(client: Asking, seats: int) -> None:
    """Return when everything is stored, and the agent holds what it can."""
    await client.settled()
    async with asyncio.timeout(HANDED_OUT_S):
        while (await client.counters("conclave-agent"))["running"] != seats:
            await asyncio.sleep(0.1)


def _memory(processes: Mapping[str, psutil.Process]) -> Memory:
    return {name: process.memory_info().rss for name, process in processes.items()}


def _growth(before: Memory, now: Memory, held: int) -> dict[str, Any]:
    grown = {name: now[name] - before[name] for name in now}
    return {
        "MiB": sum(grown.values()) / 2**20,
        **{
            f"{name} KiB": size / 1024 / held if held >= TOLD_FROM else None
            for name, size in grown.items()
        },
    }


async def _cores(processes: Mapping[str, psutil.Process], seconds: float) -> float:
    """Return how many cores all of them used in a while."""
    before = _processor_s(processes)
    await asyncio.sleep(seconds)
    return (_processor_s(processes) - before) / seconds


def _processor_s(processes: Mapping[str, psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes.values())


def _times(acks: Sequence[float]) -> dict[str, float]:
    return dict(zip(TIMES, (percentile(acks, 0.5), percentile(acks, 0.99)), strict=True))
