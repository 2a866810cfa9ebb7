"""How long until a client holds the durable acknowledgement of its deliberation?

Beside three floors in the same run, from the same client process, against the same nats-server:
`echo`, a reply by a bare nats-py process, `publish`, a bare JetStream publish by nats-py's own
`js.publish`, and `floor`, the whole message pattern without the product (`tests/bench/floor.py`).
The system does the whole work of the deliberations meanwhile: seats are asked, answers ranked,
outcomes stored.

    1 whole      one deliberation at a time: the next request when the last outcome was seen
    64 whole     so many at a time, each followed to its outcome: `per s` is the throughput
    1, 64, 256   so many unanswered requests; at once the next, while the system still works at
                 deliberations acknowledged before
    50/s         Poisson arrivals, from the intended time
"""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from actors.bus import Bus
from actors.bus.nats_bus import connect
from schemas.codec import decode
from schemas.service import StatsReply
from subjects import names
from subjects.streams import StreamSpec
from supervisor.up import running
from tests.bench import floor
from tests.bench.client import ECHO, Block, Times
from tests.bench.measuring import Bar, Options, Result, median, percentile, scripted

REPEATS = 5
IN_FLIGHT = {"1 whole": 500, "64 whole": 3_000, "1": 1_000, "64": 3_000, "256": 4_000}
"""Requests measured at each load; a fifth more come before as warm-up."""

RATE, PACED = 50.0, 500
BARE = ("echo", "publish")
STORE = StreamSpec(name="BENCH", subjects=("bench.store",), description="the floor's own stream")
REQUEST = (
    '{"task_description": "Add retries with back-off to the billing client",'
    ' "role": "DEV", "protocol": "independent", "num_agents": %d}'
)
KINDS = {
    "echo": (ECHO, REQUEST % 1),
    "publish": ("bench.store", REQUEST % 1),
    "floor, 3 seats": (floor.REQUEST, REQUEST % 3),
    "ack, 1 seat": (names.REQUEST, REQUEST % 1),
    "ack, 3 seats": (names.REQUEST, REQUEST % 3),
}
Key = tuple[str, str]
"""Load and kind."""


async def measure(options: Options) -> Result:
    """Run every kind at every load, in turn, several times."""
    samples: dict[Key, list[Times]] = {}
    async with running(scripted()) as system:
        bus = await connect(system.nats, "bench")
        await bus.ensure(STORE)
        async with (
            spawned("client echo", system.url) as echo,
            spawned("floor core", system.url) as core,
            spawned("client load", system.url) as load,
        ):
            await _ready(echo, core)
            async with spawned("floor agents", system.url) as agents:
                await _ready(agents)
                await _repeat(load, bus, options, samples)
        await bus.close()
    return _summed_up(samples)


async def _repeat(
    load: Process, bus: Bus, options: Options, samples: dict[Key, list[Times]]
) -> None:
    for repeat in range(options.repeats or (2 if options.quick else REPEATS)):
        for key, block in _blocks(repeat, 10 if options.quick else 1):
            samples.setdefault(key, []).append(await _send(load, block))
            await settled(bus)


async def _ready(*processes: Process) -> None:
    for process in processes:
        assert process.stdout is not None
        await process.stdout.readline()


@contextlib.asynccontextmanager
async def spawned(part: str, url: str) -> AsyncIterator[Process]:
    """Run a part of a module here, `module part`, in a process of its own."""
    module, name = part.split()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.bench.{module}", name, url,
        stdin=PIPE, stdout=PIPE, limit=2**24,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


def _blocks(repeat: int, less: int) -> list[tuple[Key, Block]]:
    closed = [
        (
            (load, kind),
            Block(
                subject=subject,
                body=body,
                requests=requests // less,
                warm_up=requests // less // 5,
                in_flight=int(load.split()[0]),
                ended=_ended(kind) if load.endswith("whole") else "",
                stored=kind == "publish",
            ),
        )
        for load, requests in IN_FLIGHT.items()
        for kind, (subject, body) in KINDS.items()
    ]
    paced = [
        (
            (f"{RATE:.0f}/s", kind),
            Block(
                subject=subject,
                body=body,
                requests=PACED // less,
                rate=RATE,
                seed=repeat,
                stored=kind == "publish",
            ),
        )
        for kind, (subject, body) in KINDS.items()
    ]
    return closed + paced


def _ended(kind: str) -> str:
    if kind in BARE:
        return ""
    return floor.COMPLETED if kind.startswith("floor") else "deliberation.completed"


async def _send(load: Process, block: Block) -> Times:
    assert load.stdin is not None
    assert load.stdout is not None
    load.stdin.write(msgspec.json.encode(block) + b"\n")
    return msgspec.json.decode(await load.stdout.readline(), type=Times)


async def settled(bus: Bus) -> None:
    """Return when neither the system nor the floor has anything left to do."""
    before: Any = None
    while True:
        reply = await bus.request("$SRV.STATS.conclave-collector", b"")
        data = decode(StatsReply, reply.body).data
        now = (data, await bus.last_sequence(floor.STREAM))
        if data["open"] == 0 and now == before:
            return
        before = now
        await asyncio.sleep(0.1)


def _summed_up(samples: dict[Key, list[Times]]) -> Result:
    rows = [_row(key, times, samples) for key, times in samples.items()]
    found = {(row["load"], row["kind"]): row for row in rows}
    bars = [
        bar
        for load in ("1 whole", "1")
        for kind in ("ack, 1 seat", "ack, 3 seats")
        for bar in (
            Bar(text=f"p99 ms, load {load}, {kind}", value=found[load, kind]["p99"], limit=3.0),
            Bar(
                text=f"p50 over bare publish, load {load}, {kind}",
                value=found[load, kind]["x publish"],
                limit=3.0,
            ),
        )
    ]
    notes = (
        "Latencies in ms, each the median over the repeats;"
        " `x publish` and `x floor` are medians of the repeats' ratios of p50.",
    )
    return Result(
        bench="ack_latency",
        question=__doc__.partition("\n")[0],
        rows=rows,
        bars=bars,
        notes=notes,
        detail={
            f"{load} {kind}": [_figures(block) for block in times]
            for (load, kind), times in samples.items()
        },
    )


def _row(key: Key, times: list[Times], samples: Mapping[Key, list[Times]]) -> dict[str, Any]:
    figures = [_figures(block) for block in times]
    row: dict[str, Any] = {"load": key[0], "kind": key[1]}
    row |= {name: median([each[name] for each in figures]) for name in figures[0]}
    for name, other in (("x publish", "publish"), ("x floor", "floor, 3 seats")):
        bare = map(_figures, samples[key[0], other])
        ratios = [own["p50"] / each["p50"] for own, each in zip(figures, bare, strict=True)]
        row[name] = median(ratios)
    row["errors"] = sum(block.errors for block in times)
    return row


def _figures(block: Times) -> dict[str, float]:
    values = block.latencies_ms
    return {
        "p50": percentile(values, 0.5),
        "p90": percentile(values, 0.9),
        "p99": percentile(values, 0.99),
        "max": max(values),
        "per s": len(values) / block.wall_s,
    }
