"""What does a deliberation cost when many have ended before: queries, and a collector's restart?

One nats-server, whose store grows from a thousand finished deliberations to a hundred thousand,
with --full to a million, all of them young. Each is a real one's records, as this very version
wrote them a moment before, under another id; of one seat, so that the disk bears a million. At each
size a thousand more are open, of three seats, two of which have answered.

    ping               a round trip to the responder that touches no store
    first get          of ended ones at random, while most blocks of the stream are unread
    get, wait, list    the same when each has been read once; the first page
    stats              the responder gathers for a tenth of a second from whoever answers
    responder          seconds from its process's start until it answers; `counted`: until its
                       background count of the last hour's outcomes, for `stats`, is at rest
    restart            the collector's, likewise, killed and started anew, from a checkpoint
    rebuild            the same without one, up to a hundred thousand

Collector and responder are the processes that `conclave up` starts. No dispatcher and no agents
run: nobody may work on what is only there to be read.
"""

import asyncio
import os
import random
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psutil

from actors.bus import Bus, BusError
from actors.deliberations.checkpoint import Folded
from schemas.checkpoint import Checkpoint
from schemas.codec import decode, encode
from schemas.service import StatsReply
from subjects import names
from subjects.streams import CHECKPOINTS, DELIBERATIONS
from supervisor import up
from supervisor.spec import ChildSpec
from tests.bench.many_stored import (
    OPEN,
    Store,
    end_open,
    filled,
    grow,
    leave_open,
    name_of,
    templates,
)
from tests.bench.measuring import Bar, Options, Result, median, percentile

SIZES = (1_000, 10_000, 100_000)
FULL = (*SIZES, 1_000_000)
QUICK = (200, 1_000)
REBUILT = 100_000
"""Without a checkpoint more than this takes minutes."""

RESTARTS, ASKED, PAGES, TOLD, FIRST = 5, 1_000, 200, 5, 200
STRIDE = 500
"""Deliberations from one that is read to the next, so that every block is: one holds 8 MiB."""
READY_S = 600.0
AT_REST = 5.0
"""Percent of a core: the responder has counted."""


async def measure(options: Options) -> Result:
    """Let a store grow, and measure at each size."""
    sizes = QUICK if options.quick else FULL if options.full else SIZES
    finished, unfinished = await templates()
    rows = []
    async with filled() as store:
        for size in sizes:
            await grow(store, finished, size)
            await leave_open(store, unfinished)
            rows.append(await _row(store, options))
            await end_open(store, unfinished)
    return _summed_up(rows)


# ------------------------------------------------------------------------------------- measured


async def _row(store: Store, options: Options) -> dict[str, Any]:
    row: dict[str, Any] = {"finished": store.finished, "messages": store.last}
    row |= await _restarts(store, options.repeats or (2 if options.quick else RESTARTS))
    row |= await _queries(store, 10 if options.quick else 1)
    row["nats MB"] = store.server.memory_info().rss / 1e6
    return row


async def _restarts(store: Store, repeats: int) -> dict[str, Any]:
    """Rebuild without a checkpoint, then start from one, several times."""
    await store.bus.api(f"STREAM.PURGE.{CHECKPOINTS}", {})
    told = await _checkpoint(store)
    rebuild = None
    if store.finished <= REBUILT:
        rebuild = await _restart(store)
        await _is_kept(store.bus, told)
    await store.bus.store(names.CHECKPOINT, encode(told))
    return {
        "restart s": median([await _restart(store) for _ in range(repeats)]),
        "rebuild s": rebuild,
    }


async def _checkpoint(store: Store) -> Checkpoint:
    """What a collector that had read all would have kept."""
    folded = Folded()
    for task_id, sequence in store.opened.items():
        (found,) = await store.bus.scan(DELIBERATIONS, names.opened(task_id), sequence, 1)
        assert found.sequence == sequence
        folded.began(task_id, found)
    (folded.last,) = await store.bus.scan(DELIBERATIONS, names.ANYTHING, store.last, 1)
    told = folded.checkpoint()
    assert told is not None
    return told


async def _is_kept(bus: Bus, told: Checkpoint) -> None:
    """Hold ours to the one that a collector kept which has indeed read all."""
    (kept,) = await bus.last(CHECKPOINTS, [names.CHECKPOINT])
    assert decode(Checkpoint, kept.body) == told


async def _restart(store: Store) -> float:
    begun = time.perf_counter()
    async with _actor(store, "collector") as spec:
        seconds = time.perf_counter() - begun
        stats = await store.bus.request(f"$SRV.STATS.{_service(spec)}", b"")
        assert decode(StatsReply, stats.body).data["open"] == OPEN
        async with asyncio.timeout(READY_S):
            while not await store.bus.last(CHECKPOINTS, [names.CHECKPOINT]):
                await asyncio.sleep(0.05)
    return seconds


async def _queries(store: Store, less: int) -> dict[str, Any]:
    bus, draw = store.bus, random.Random(store.finished)
    begun = time.perf_counter()
    async with _actor(store, "responder") as spec:
        answers_s = time.perf_counter() - begun
        await _at_rest(spec)
        counted_s = time.perf_counter() - begun

        def numbered(number: int) -> Mapping[str, Any]:
            return {"task_id": name_of("f", 0, number)}

        def ended(_: int) -> Mapping[str, Any]:
            return numbered(draw.randrange(store.finished))

        async def asked(subject: str, count: int, query: Callable[[int], Any]) -> list[float]:
            return await _timed(bus, subject, count, query)

        ping = await asked(f"$SRV.PING.{_service(spec)}", ASKED // less, lambda _: {})
        first = await asked(names.GET, FIRST // less, ended)
        await asked(
            names.GET, store.finished // STRIDE, lambda at: numbered(at * STRIDE % store.finished)
        )
        get = await asked(names.GET, ASKED // less, ended)
        wait = await asked(names.WAIT, ASKED // less, ended)
        page = await asked(names.LIST, PAGES // less, lambda _: {})
        stats = await asked(names.STATS, max(2, TOLD // less), lambda _: {})
    return {
        "ping": percentile(ping, 0.5),
        "first get": percentile(first, 0.5),
        "first p99": percentile(first, 0.99),
        "get": percentile(get, 0.5),
        "get p99": percentile(get, 0.99),
        "wait": percentile(wait, 0.5),
        "wait p99": percentile(wait, 0.99),
        "list": percentile(page, 0.5),
        "list p99": percentile(page, 0.99),
        "stats": percentile(stats, 0.5),
        "responder s": answers_s,
        "counted s": counted_s,
    }


async def _timed(bus: Bus, subject: str, count: int, query: Callable[[int], Any]) -> list[float]:
    """Milliseconds of each request; a tenth more come before as warm-up."""
    taken = []
    for number in range(count + count // 10):
        body = msgspec.json.encode(query(number))
        begun = time.perf_counter()
        reply = await bus.request(subject, body, timeout_s=30.0)
        taken.append((time.perf_counter() - begun) * 1e3)
        assert "Nats-Service-Error" not in reply.headers, reply.body
    return taken[count // 10 :]


_processes: dict[str, psutil.Process] = {}


@asynccontextmanager
async def _actor(store: Store, kind: str) -> AsyncIterator[ChildSpec]:
    """Run an actor as its supervisor does; it answers in the block, and is killed then."""
    spec = next(each for each in up.children(store.config) if each.id == kind)
    process = await asyncio.create_subprocess_exec(
        *spec.argv, env=os.environ | spec.env, stdin=PIPE, stderr=DEVNULL
    )
    try:
        await _answers(store.bus, spec)
        _processes[_service(spec)] = psutil.Process(process.pid)
        yield spec
    finally:
        process.kill()
        await process.wait()


def _service(spec: ChildSpec) -> str:
    probe: Any = spec.ready
    return f"{probe.service}.{probe.instance}"


async def _answers(bus: Bus, spec: ChildSpec) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            try:
                await bus.request(f"$SRV.STATS.{_service(spec)}", b"", timeout_s=1.0)
            except BusError:
                await asyncio.sleep(0.01)
            else:
                return


async def _at_rest(spec: ChildSpec) -> None:
    process = _processes[_service(spec)]
    process.cpu_percent()
    async with asyncio.timeout(READY_S):
        while True:
            await asyncio.sleep(0.5)
            if process.cpu_percent() < AT_REST:
                return


# -------------------------------------------------------------------------------------- results


def _summed_up(rows: Sequence[Mapping[str, Any]]) -> Result:
    first, last = rows[0], rows[-1]
    size = f"{last['finished']:,} finished"
    ratios = [
        Bar(text=f"p50 of {what} with {size} over {first['finished']:,}",
            value=last[what] / first[what], limit=1.5)
        for what in ("get", "wait", "list")
    ]  # fmt: skip
    restart = Bar(
        text=f"collector restart, seconds, with {size} and {OPEN:,} open",
        value=last["restart s"],
        limit=2.0,
    )
    return Result(
        bench="store_growth",
        question=__doc__.partition("\n")[0],
        rows=rows,
        bars=[*ratios, restart],
        notes=(
            "Queries in ms, p50 unless named, one at a time; `restart s` is a median.",
            "Where nats-server has not read a block of 8 MiB since its start, it indexes it first;"
            " the `first get` shows that.",
            "Deliberations of one seat; restarts are whole processes, from start to first answer.",
        ),
    )
