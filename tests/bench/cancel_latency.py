"""How long from `deliberation.cancel` until the generations are aborted in the engine?

A whole system with its agent in a process of the benchmark's. Every seat is being written when a
client cancels. Both processes read the machine's one monotonic clock: the client before it sends
the cancel, the agent's process when the engine has been told to abort (the iterator is closed,
and with vLLM the abort is on its way to the engine's own process).

`told`: until that, for every seat. `stopped`: with other deliberations running meanwhile, until
vLLM's scheduler has counted a step without the cancelled seats.
"""

import asyncio
import random
import time
from asyncio.subprocess import Process
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from typing import Any, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.bus import Message
from actors.bus.nats_bus import NatsBus, connect
from actors.settings import BusSettings, PoolSettings
from schemas.codec import decode, encode
from schemas.council import Sampling
from schemas.deliberation import Accepted, Cancelled, CancelRequest, DeliberationRequest
from schemas.progress import Progress, SeatAnswered, SeatStarted, TextDelta
from subjects import names
from supervisor.up import running
from tests.bench.agent_host import Aborts, Plan, Report
from tests.bench.council import ROLE, Council
from tests.bench.engine_path import host, ordered
from tests.bench.measuring import Bar, Options, Result, percentile, whole
from tests.bench.models import untrained

SEATS = 3
OPEN = (1, 8)
"""Deliberations that are open at a time; the oldest is cancelled."""
CANCELS = 120
LIMIT_MS = 50.0
PATIENCE_S = 30.0
MAX_TOKENS = 1_500
ENGINES = {
    "scripted": PoolSettings(engine="scripted", scripted_latency_ms=60_000.0),
    "vllm": PoolSettings(max_model_len=2_048, kv_cache_mib=512),
}
"""vLLM with a model of random weights, which hardly ever ends a text by itself."""
ELSEWHERE = PoolSettings(engine="scripted", queues=("ELSEWHERE",))
"""The system's own pool: no council sits there."""


class Sample(Struct, frozen=True, kw_only=True):
    """One cancel: ms until its reply, until each seat's abort was told, and until it showed."""

    reply_ms: float
    told_ms: list[float]
    stopped_ms: float | None = None


async def measure(options: Options) -> Result:
    """Cancel with both engines, one deliberation at a time and with others around it."""
    cancels = 20 if options.quick else CANCELS
    samples: dict[tuple[str, int], list[Sample]] = {}
    for name, settings in ENGINES.items():
        model = str(untrained()) if name == "vllm" else settings.model
        for open_at_once, found in (
            await cancelled(replace(settings, model=model), cancels)
        ).items():
            samples[name, open_at_once] = found
    rows = [_row(*key, found) for key, found in samples.items()]
    return Result(
        bench="cancel_latency",
        question=__doc__.partition("\n")[0],
        rows=rows,
        bars=[
            Bar(
                text=f"told p99 ms, {row['engine']}, {row['open']} open",
                value=row["told p99"],
                limit=LIMIT_MS,
            )
            for row in rows
        ],
        notes=(f"{cancels} cancels a row, {SEATS} seats each; ms from before the cancel is sent.",),
        detail={f"{name} {size}": found for (name, size), found in samples.items()},
    )


async def cancelled(settings: PoolSettings, cancels: int) -> dict[int, list[Sample]]:
    """Cancel so many deliberations of an engine with these settings; samples by how many open."""
    async with running(whole(ELSEWHERE)) as system:
        plan = Plan(nats=system.nats, agents={"default": settings})
        begun = TextDelta if settings.engine == "vllm" else SeatStarted
        async with (
            host(plan, WATCHED="1") as agent,
            Council(system.nats, SEATS),
            _Client(system.nats, begun) as client,
        ):
            return {size: await _one_by_one(client, agent, size, cancels) for size in OPEN}


class _Client:
    """Opens deliberations, knows when all their seats are being written, and cancels them."""

    def __init__(self, login: BusSettings, begun: type[Progress]) -> None:
        self._login = login
        self._begun = begun
        self.answered: defaultdict[str, set[str]] = defaultdict(set)
        """Seats whose text came to its end by itself: there is nothing to abort."""
        self._seats: defaultdict[str, set[str]] = defaultdict(set)
        self._spoken: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._bus: NatsBus

    async def __aenter__(self) -> Self:
        self._bus = await connect(self._login, "bench canceller")
        await self._bus.listen(names.ANY_PROGRESS, self._on_progress)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._bus.close()

    def _on_progress(self, message: Message) -> None:
        event: Any = decode(Progress, message.body)
        if isinstance(event, SeatAnswered):
            self.answered[event.task_id].add(event.seat)
        if isinstance(event, self._begun):
            self._seats[event.task_id].add(event.seat)
            if len(self._seats[event.task_id]) == SEATS:
                self._spoken[event.task_id].set()

    async def open(self, number: int) -> str:
        """Open a deliberation; return its id when every seat is being written."""
        request = DeliberationRequest(
            task_description=f"Which risk comes first in case {number}?",
            role=ROLE,
            protocol="independent",
            sampling=Sampling(max_tokens=MAX_TOKENS, seed=number),
        )
        reply = await self._bus.request(names.REQUEST, encode(request))
        task_id = decode(Accepted, reply.body).task_id
        async with asyncio.timeout(PATIENCE_S):
            await self._spoken[task_id].wait()
        return task_id

    async def cancel(self, task_id: str) -> tuple[float, float]:
        """Cancel; return the monotonic times before sending and when the reply was there."""
        begun = time.monotonic()
        reply = await self._bus.request(names.CANCEL, encode(CancelRequest(task_id=task_id)))
        ended = time.monotonic()
        decode(Cancelled, reply.body)
        return begun, ended


async def _one_by_one(client: _Client, agent: Process, size: int, cancels: int) -> list[Sample]:
    """Keep `size` deliberations open and cancel the oldest, at any moment of a step."""
    draw = random.Random(size)
    opened = deque([await client.open(number) for number in range(size)])
    samples = []
    for number in range(size, size + cancels):
        await asyncio.sleep(draw.uniform(0.0, 0.05))
        before = msgspec.convert(await ordered(agent, Report()), Aborts)
        known = before.running[-1:] if size > 1 else []
        task_id = opened.popleft()
        begun, replied = await client.cancel(task_id)
        seen = await _aborted(agent, task_id, begun, known, client.answered[task_id])
        samples.append(
            Sample(
                reply_ms=1000 * (replied - begun),
                told_ms=[1000 * (told - begun) for told in seen.handed[task_id]],
                stopped_ms=_stopped_ms(seen.running, begun, len(seen.handed[task_id]))
                if known
                else None,
            )
        )
        opened.append(await client.open(number))
    for task_id in opened:
        await client.cancel(task_id)
    return samples


async def _aborted(
    agent: Process,
    task_id: str,
    begun: float,
    known: Sequence[tuple[float, int]],
    answered: Collection[str],
) -> Aborts:
    """Wait until every seat's abort is noted and, if a count is `known`, until it is less."""
    handed: list[float] = []
    running = list(known)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            seen = msgspec.convert(await ordered(agent, Report()), Aborts)
            handed += seen.handed.get(task_id, [])
            running += seen.running
            writing = SEATS - len(answered)
            shown = not known or _stopped_ms(running, begun, writing) is not None
            if len(handed) == writing and shown:
                return Aborts({task_id: handed}, running)
            await asyncio.sleep(0.005)


def _stopped_ms(
    running: Sequence[tuple[float, int]], begun: float, cancelled: int = SEATS
) -> float | None:
    """When, after `begun`, a step had so many texts less as were cancelled."""
    *_, most = (count for at, count in running if at < begun)
    after = ((at, count) for at, count in running if at >= begun)
    return next((1000 * (at - begun) for at, count in after if count <= most - cancelled), None)


def _row(name: str, size: int, found: Sequence[Sample]) -> dict[str, Any]:
    told = [each for sample in found for each in sample.told_ms]
    stopped = [sample.stopped_ms for sample in found if sample.stopped_ms is not None]
    return {
        "engine": name,
        "open": size,
        "cancels": len(found),
        "reply p50": percentile([sample.reply_ms for sample in found], 0.5),
        "told p50": percentile(told, 0.5),
        "told p99": percentile(told, 0.99),
        "told max": max(told),
        "stopped p50": percentile(stopped, 0.5) if stopped else None,
        "stopped p99": percentile(stopped, 0.99) if stopped else None,
    }
