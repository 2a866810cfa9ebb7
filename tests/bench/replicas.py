"""Do more dispatchers, collectors or agents get more done? One to three of each, one nats-server.

Deliberations of three seats of zero latency, 64 followed to their outcome at a time. A whole system
with one of each runs all the time; what a plan has beyond that is started for its turn. The plans
take turns, each with an empty stream, and are compared with one of each in the same repeat. Beside
the throughput stands how many cores each kind of process used: where their sum is what the machine
has, more processes can only take from one another. Collectors are hot standbys: further ones do the
same work again.
"""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from asyncio.subprocess import Process as Client
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import psutil
from msgspec import Struct
from msgspec.structs import replace

from subjects import names
from supervisor.config import Config
from supervisor.health import Answer, Prober
from supervisor.process import Process
from supervisor.spec import ChildSpec
from supervisor.up import RunningSystem, children, running
from tests.bench.asking import Asking
from tests.bench.client import Block, Times
from tests.bench.measuring import Options, Plot, Result, median, percentile, scripted

REPEATS = 3
REQUESTS, IN_FLIGHT = 2_000, 64
BUDGET_S = 240.0
"""No further repeat is begun that would hardly end within this, unless repeats were asked for."""

PATIENCE_S = 30.0
CHILDREN = {"dispatcher": "dispatcher", "collector": "collector", "agent": "default-1"}
"""The kinds of which there may be several, each by its first child of the supervisor."""

BODY = (
    '{"task_description": "Add retries with back-off to the billing client",'
    ' "role": "DEV", "protocol": "independent", "num_agents": 3}'
)


class Plan(Struct, frozen=True):
    """How many of each kind."""

    dispatcher: int
    collector: int
    agent: int

    def __str__(self) -> str:
        return " · ".join(map(str, msgspec.structs.astuple(self)))


ONE = Plan(1, 1, 1)
PLANS = (
    ONE,
    Plan(2, 1, 1),
    Plan(3, 1, 1),
    Plan(1, 2, 1),
    Plan(1, 3, 1),
    Plan(1, 1, 2),
    Plan(1, 1, 3),
    Plan(2, 1, 2),
    Plan(2, 2, 2),
    Plan(3, 3, 3),
)
QUICK = (ONE, Plan(2, 2, 2))


class Sample(Struct, frozen=True):
    """One plan's turn: deliberations a second, acknowledgement's p50, cores by kind of process."""

    per_s: float
    ack_ms: float
    cores: Mapping[str, float]
    errors: int


async def measure(options: Options) -> Result:
    """Give every plan its turn, several times."""
    repeats = options.repeats or (1 if options.quick else REPEATS * (2 if options.full else 1))
    requests = REQUESTS // (10 if options.quick else 1)
    plans = QUICK if options.quick else PLANS
    samples: dict[Plan, list[Sample]] = {plan: [] for plan in plans}
    config = scripted()
    async with (
        running(config) as system,
        _client(system.url) as load,
        Asking(system.nats) as client,
    ):
        await _sent(load, _block(requests))
        await client.forget()
        begun = time.monotonic()
        for number in range(repeats):
            spent_s = time.monotonic() - begun
            if number and not options.repeats and spent_s * (number + 1) / number > BUDGET_S:
                break
            for plan in plans if number % 2 == 0 else reversed(plans):
                async with _beside(system, config, plan) as pids:
                    pids["load"] = [load.pid]
                    samples[plan].append(await _sample(load, pids, requests))
                await client.forget()
    return Result(
        bench="replicas",
        question=(__doc__ or "").partition("\n")[0],
        rows=[_row(plan, samples) for plan in plans],
        plots=(
            Plot(
                title="throughput by dispatchers · collectors · agents",
                x="plan",
                y=("per s",),
                unit="deliberations/s",
                bars=True,
            ),
        ),
        notes=(
            f"Medians of {len(samples[ONE])}; a plan is dispatchers · collectors · agents;"
            f" {IN_FLIGHT} in flight, {requests} deliberations a turn;"
            " `x one`: throughput over that of one of each in the same repeat;"
            f" cores used by each kind, of {psutil.cpu_count()}.",
        ),
        detail={str(plan): turns for plan, turns in samples.items()},
    )


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Client]:
    argv = (sys.executable, "-m", "tests.bench.client", "load", url)
    process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, limit=2**24)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _beside(
    system: RunningSystem, config: Config, plan: Plan
) -> AsyncIterator[dict[str, list[int]]]:
    """Run what a plan has beyond one of each; yield the processes of every kind."""
    own = {kind: [system.pid(child)] for kind, child in CHILDREN.items()}
    pids = {**own, "nats": [system.pid("nats-server")]}
    effective = replace(config, nats=system.nats)
    async with AsyncExitStack() as stack:
        prober = Prober(system.nats)
        stack.push_async_callback(prober.close)
        kinds = [kind for kind in CHILDREN for _ in range(getattr(plan, kind) - 1)]
        specs = [_spec(effective, kind) for kind in kinds]
        started = await asyncio.gather(
            *(stack.enter_async_context(_started(spec, prober)) for spec in specs)
        )
        for kind, process in zip(kinds, started, strict=True):
            pids[kind].append(process.pid)
        yield pids


def _spec(config: Config, kind: str) -> ChildSpec:
    """How the supervisor would start one, in a name of its own."""
    return next(spec for spec in children(config) if spec.id == CHILDREN[kind])


@asynccontextmanager
async def _started(spec: ChildSpec, prober: Prober) -> AsyncIterator[Process]:
    process = await Process.start(spec, lambda _: None)
    give_up = time.monotonic() + PATIENCE_S
    try:
        while await prober.ask(spec.ready, 1.0) is not Answer.ALIVE:
            if process.exited.is_set() or time.monotonic() > give_up:
                raise RuntimeError(f"{spec.id} did not get ready: {process.last_words}")
            await asyncio.sleep(0.05)
        yield process
    finally:
        await process.terminate(spec.stop_timeout_s)


async def _sample(load: Client, pids: Mapping[str, Sequence[int]], requests: int) -> Sample:
    before, begun = _processor_s(pids), time.perf_counter()
    times = await _sent(load, _block(requests))
    seconds, after = time.perf_counter() - begun, _processor_s(pids)
    return Sample(
        per_s=len(times.latencies_ms) / times.wall_s,
        ack_ms=percentile(times.latencies_ms, 0.5),
        cores={kind: (after[kind] - before[kind]) / seconds for kind in after},
        errors=times.errors,
    )


def _block(requests: int) -> Block:
    return Block(
        subject=names.REQUEST,
        body=BODY,
        requests=requests,
        warm_up=requests // 5,
        in_flight=IN_FLIGHT,
        ended=names.COMPLETED,
    )


async def _sent(load: Client, block: Block) -> Times:
    assert load.stdin is not None
    assert load.stdout is not None
    load.stdin.write(msgspec.json.encode(block) + b"\n")
    return msgspec.json.decode(await load.stdout.readline(), type=Times)


def _processor_s(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {
        kind: sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in each)
        for kind, each in pids.items()
    }


def _row(plan: Plan, samples: Mapping[Plan, Sequence[Sample]]) -> dict[str, Any]:
    own = samples[plan]
    return {
        "plan": str(plan),
        "per s": median([each.per_s for each in own]),
        "x one": median([a.per_s / b.per_s for a, b in zip(own, samples[ONE], strict=True)]),
        "ack p50": median([each.ack_ms for each in own]),
        **{f"{kind} cores": median([each.cores[kind] for each in own]) for kind in own[0].cores},
        "errors": sum(each.errors for each in own),
    }
