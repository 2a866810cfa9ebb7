"""How does Conclave compare with what people would pick instead, doing the same job?

Accept a task, ask 3 or 15 workers that echo, gather, publish one result. Every contestant stays
up in the same run, blocks go to each in turn, each client is a process of its own.

    paced    Poisson arrivals at a rate that all sustain; ms from the intended time, pooled
    per s    throughput with 64 in flight, median over the repeats
    killed   a worker process is killed (-9) under paced load: what of that is lost?

The rivals are in tests/bench/rivals/, each in an environment of its own that is installed when it
is first wanted. `floor` is the message pattern on bare NATS without a product; it survives nothing.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from msgspec import Struct

from actors.bus.nats_bus import connect
from schemas.codec import encode
from schemas.council import CouncilCreate, Seat
from schemas.errors import ERROR_HEADER
from subjects import names
from supervisor.up import RunningSystem
from supervisor.up import running as conclave
from tests.bench.beside_floor import spawned as spawned_floor
from tests.bench.measuring import Bar, Options, Result, median, scripted
from tests.bench.rivals.contestants import RIVALS, Contestant, NotRun, kill, running, spawned
from tests.bench.rivals.ledger import Block, Task, latencies, losses, throughput

SEATS = (3, 15)
REPEATS = 3
RATES = {3: 10.0, 15: 4.0}
IN_FLIGHT = 64
WARM_S, PACED_S, CLOSED_S = 0.5, 4.0, 2.5
KILL_S, WATCH_S, QUICK_WATCH_S = 4.0, 45.0, 15.0
OURS = "Conclave"
ON_NATS = "tests.bench.rivals.on_nats"


class Seen(Struct):
    """All blocks of one contestant at one number of seats."""

    paced: list[Task] = []
    closed: list[float] = []


async def measure(options: Options) -> Result:
    """Run all that can be run."""
    seen: dict[tuple[str, int], Seen] = {}
    killed: dict[tuple[str, int], dict[str, Any]] = {}
    absent: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(conclave(scripted()))
        there = [await stack.enter_async_context(each) for each in _own(system)]
        for rival in RIVALS:
            try:
                here = await stack.enter_async_context(running(rival, system.url, max(SEATS)))
                there.append(here)
            except NotRun as reason:
                absent[rival.name] = str(reason)
        for repeat in range(options.repeats or (1 if options.quick else REPEATS)):
            for seats in SEATS:
                for each in list(there):
                    found = seen.setdefault((each.name, seats), Seen())
                    await _one(each, seats, repeat, found, absent, there, options)
        watch_s = QUICK_WATCH_S if options.quick else WATCH_S
        for seats in SEATS[: 1 if options.quick else None]:
            for name, counts in (await _hurt(there, seats, watch_s)).items():
                killed[name, seats] = counts
    return _summed_up(seen, killed, absent, {each.name: each.durable for each in there})


def _own(system: RunningSystem) -> list[contextlib.AbstractAsyncContextManager[Contestant]]:
    return [_conclave(system), _floor(system.url)]


@asynccontextmanager
async def _conclave(system: RunningSystem) -> AsyncIterator[Contestant]:
    def agent() -> int:
        pid = system.pid("default-1")
        assert pid is not None
        return pid

    bus = await connect(system.nats, "bench")
    seats = tuple(Seat(id=f"bench-{number}", persona="echo") for number in range(max(SEATS)))
    reply = await bus.request(
        names.COUNCIL_CREATE, encode(CouncilCreate(role="BENCH", seats=seats))
    )
    assert ERROR_HEADER not in reply.headers, reply.body
    await bus.close()
    async with spawned(sys.executable, ON_NATS, "conclave", system.url) as load:
        yield Contestant(OURS, load, victim=agent)


@asynccontextmanager
async def _floor(url: str) -> AsyncIterator[Contestant]:
    async with spawned_floor("floor core", url) as core:
        assert core.stdout is not None
        await core.stdout.readline()
        async with spawned_floor("floor agents", url) as agents:
            assert agents.stdout is not None
            await agents.stdout.readline()
            async with spawned(sys.executable, ON_NATS, "floor", url) as load:
                yield Contestant("floor", load)


async def _one(
    each: Contestant, seats: int, repeat: int, found: Seen, absent: dict[str, str],
    there: list[Contestant], options: Options,
) -> None:  # fmt: skip
    part = 0.5 if options.quick else 1.0
    mark = f"r{repeat}s{seats}"
    try:
        await _block(each, mark=f"{mark}w", seats=seats, seconds=WARM_S, in_flight=4)
        rate = {"rate": RATES[seats], "seed": repeat}
        paced = await _block(each, mark=f"{mark}p", seats=seats, seconds=PACED_S * part, **rate)
        many = {"seconds": CLOSED_S * part, "in_flight": IN_FLIGHT}
        closed = await _block(each, mark=f"{mark}c", seats=seats, **many)
    except NotRun as reason:
        absent[each.name] = str(reason)
        there.remove(each)
        return
    found.paced += paced.tasks
    found.closed.append(throughput(closed))


async def _block(each: Contestant, **block: Any) -> Block:
    await each.begin(**block)
    return await each.result()


async def _hurt(
    there: Sequence[Contestant], seats: int, watch_s: float
) -> dict[str, dict[str, Any]]:
    """Load and hurt one after the other; then wait for what is left of all of them together."""
    hurt = [each for each in there if each.victim is not None]
    for each in hurt:
        load = {"seats": seats, "seconds": KILL_S, "rate": RATES[seats], "watch_s": watch_s}
        with contextlib.suppress(NotRun):  # told by its result
            await each.begin(mark=f"k{seats}", **load)
        await asyncio.sleep(KILL_S / 2)
        assert each.victim is not None
        with contextlib.suppress(ProcessLookupError):
            kill(each.victim())
        await asyncio.sleep(KILL_S / 2)
    counts = {}
    for each in hurt:
        try:
            counts[each.name] = losses((await each.result()).tasks)
        except NotRun as reason:
            counts[each.name] = {"accepted": str(reason)}
    return counts


def _summed_up(
    seen: dict[tuple[str, int], Seen], killed: dict[tuple[str, int], dict[str, Any]],
    absent: dict[str, str], durable: dict[str, bool],
) -> Result:  # fmt: skip
    rows, bars = [], []
    for seats in SEATS:
        speeds = {
            name: median(each.closed)
            for (name, n), each in seen.items()
            if n == seats and each.closed
        }
        for name, speed in speeds.items():
            rows.append(
                {"contestant": name, "workers": seats, "tasks": len(seen[name, seats].paced)}
                | latencies(seen[name, seats].paced, durable=durable.get(name, True))
                | {
                    "per s": speed,
                    "Conclave is x": speeds.get(OURS, 0.0) / speed if speed else None,
                }
                | killed.get((name, seats), {})
                | {"not run": ""}
            )
        rivals = [speed for name, speed in speeds.items() if name not in (OURS, "floor")]
        if rivals and OURS in speeds:
            text = f"throughput over the fastest rival's, {seats} workers"
            ratio = speeds[OURS] / max(rivals) if max(rivals) else float("inf")
            bars.append(Bar(text=text, value=ratio, limit=1.0, at_least=True))
    rows += [{"contestant": name, "not run": why} for name, why in absent.items()]
    return Result(
        bench="head_to_head",
        question=__doc__.partition("\n")[0],
        rows=rows,
        bars=bars,
        notes=(
            "Latencies in ms; p99 is of `tasks` arrivals. accepted … stuck: killed -9 under load.",
        ),
        detail={f"{name} {seats}": each.closed for (name, seats), each in seen.items()},
    )
