"""What does an acknowledgement cost under each durability profile?

Three whole systems run side by side, `fast` and `safe` each with the nats-server that it starts,
`cluster` with three servers of this machine and deploy/nats/cluster.conf; blocks of requests go
to each in turn. `publish` is a bare JetStream publish by nats-py, `ack` a whole acknowledgement
of a deliberation of three seats.
"""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.bus import Bus
from actors.bus.nats_bus import connect
from actors.settings import BusSettings, Durability, Retention
from schemas.codec import decode
from schemas.service import StatsReply
from supervisor.config import Config
from supervisor.durability import PROFILES
from supervisor.up import running
from tests.bench.beside_floor import KINDS, STORE, spawned
from tests.bench.client import Block, Times
from tests.bench.measuring import Options, Result, median, percentile, scripted
from tests.cluster.servers import cluster

REPEATS = 5
IN_FLIGHT = {1: 300, 64: 2_000}
"""Requests measured with so many unanswered; a fifth more come before as warm-up."""

QUIET = 3
"""Looks at the collector in a row that find it idle."""

MEASURED = ("publish", "ack, 3 seats")
Key = tuple[Durability, int, str]


class System(Struct, frozen=True):
    """One profile's system: a bus to it, and the process that loads it."""

    bus: Bus
    load: Process


async def measure(options: Options) -> Result:
    """Run every kind at every load under every profile, in turn, several times."""
    samples: dict[Key, list[Times]] = {}
    async with AsyncExitStack() as stack:
        systems = {name: await stack.enter_async_context(_system(name)) for name in PROFILES}
        for _ in range(options.repeats or (2 if options.quick else REPEATS)):
            for (profile, in_flight, kind), block in _blocks(10 if options.quick else 1):
                system = systems[profile]
                times = await _send(system.load, block)
                samples.setdefault((profile, in_flight, kind), []).append(times)
                await _settled(system.bus)
    return Result(
        bench="durability",
        question=__doc__.partition("\n")[0],
        rows=[_row(key, samples) for key in samples],
        notes=(
            "Latencies in ms, medians over the repeats; `x fast` is the median of their ratios.",
        ),
        detail={
            f"{profile} {in_flight} {kind}": [percentile(each.latencies_ms, 0.5) for each in times]
            for (profile, in_flight, kind), times in samples.items()
        },
    )


@asynccontextmanager
async def _system(durability: Durability) -> AsyncIterator[System]:
    async with AsyncExitStack() as stack:
        profile = PROFILES[durability]
        config = scripted()
        settings = BusSettings()
        if profile.replicas > 1:
            settings = (await stack.enter_async_context(cluster())).settings
        system = await stack.enter_async_context(running(_under(config, durability, settings)))
        bus = await connect(system.nats, "bench")
        stack.push_async_callback(bus.close)
        await bus.ensure(replace(STORE, replicas=profile.replicas))
        url = system.url.partition(",")[0]
        yield System(bus, await stack.enter_async_context(spawned("client load", url)))


def _under(config: Config, durability: Durability, nats: BusSettings) -> Config:
    profile = PROFILES[durability]
    return replace(
        config,
        nats=nats,
        server=replace(config.server, sync_interval=profile.sync_interval),
        retention=Retention(durability=durability, replicas=profile.replicas),
    )


def _blocks(less: int) -> list[tuple[Key, Block]]:
    return [
        (
            (profile, in_flight, kind),
            Block(
                subject=KINDS[kind][0],
                body=KINDS[kind][1],
                requests=requests // less,
                warm_up=requests // less // 5,
                in_flight=in_flight,
                stored=kind == "publish",
            ),
        )
        for in_flight, requests in IN_FLIGHT.items()
        for kind in MEASURED
        for profile in PROFILES
    ]


async def _send(load: Process, block: Block) -> Times:
    assert load.stdin is not None
    assert load.stdout is not None
    load.stdin.write(msgspec.json.encode(block) + b"\n")
    return msgspec.json.decode(await load.stdout.readline(), type=Times)


async def _settled(bus: Bus) -> None:
    """Return when nothing is open any more."""
    quiet = 0
    while quiet < QUIET:
        reply = await bus.request("$SRV.STATS.conclave-collector", b"")
        quiet = quiet + 1 if decode(StatsReply, reply.body).data["open"] == 0 else 0
        await asyncio.sleep(0.1)


def _row(key: Key, samples: dict[Key, list[Times]]) -> dict[str, Any]:
    profile, in_flight, kind = key
    fast = samples["fast", in_flight, kind]
    pairs = zip(samples[key], fast, strict=True)
    p50 = [percentile(each.latencies_ms, 0.5) for each in samples[key]]
    return {
        "profile": profile,
        "in flight": in_flight,
        "kind": kind,
        "p50": median(p50),
        "p99": median([percentile(each.latencies_ms, 0.99) for each in samples[key]]),
        "per s": median([len(each.latencies_ms) / each.wall_s for each in samples[key]]),
        "x fast": median(
            [percentile(a.latencies_ms, 0.5) / percentile(b.latencies_ms, 0.5) for a, b in pairs]
        ),
        "errors": sum(each.errors for each in samples[key]),
    }
