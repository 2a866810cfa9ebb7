"""A running system and the floor beside it, on the same nats-server, and a client of both.

echo       a reply by a bare nats-py process: no store, no product
publish    a bare JetStream publish by nats-py's own `js.publish`
floor      the whole message pattern without the product (`tests/bench/floor.py`)
ack        the product: acknowledged, deliberated by scripted seats, its outcome stored
submit     the product, handed in on `deliberation.submit.<task_id>`: the stream's own receipt

Seats of the council DEV answer at once, those of QA after SEAT_MS; so do the floor's.
"""

import asyncio
import contextlib
import math
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from actors.bus import Bus
from actors.bus.nats_bus import connect
from actors.settings import PoolSettings
from schemas.codec import decode
from schemas.service import StatsReply
from subjects import names
from subjects.streams import StreamSpec
from supervisor.config import Config, EmbeddedServer
from supervisor.up import RunningSystem, running
from tests.bench import floor
from tests.bench.client import ECHO, Block, Times

SEAT_MS = 1_000.0
MANY = 4_096
"""Seats of QA that may wait at a time: more than are ever in flight here."""

STORE = StreamSpec(name="BENCH", subjects=("bench.store",), description="the floor's own stream")
REQUEST = (
    '{"task_description": "Add retries with back-off to the billing client",'
    ' "role": "DEV", "protocol": "independent", "num_agents": %d}'
)
SLOW = (REQUEST % 3).replace("DEV", "QA")
SLOW_FLOOR = SLOW.replace("{", f'{{"wait_ms": {SEAT_MS}, ', 1)

SUBMISSIONS = names.ANY_SUBMISSION.removesuffix("*")

ACK = "ack, 3 seats"
FLOOR = "floor, 3 seats"
SUBMIT = "submit, 3 seats"
KINDS = {
    "echo": (ECHO, REQUEST % 1),
    "publish": (STORE.subjects[0], REQUEST % 1),
    FLOOR: (floor.REQUEST, REQUEST % 3),
    "ack, 1 seat": (names.REQUEST, REQUEST % 1),
    ACK: (names.REQUEST, REQUEST % 3),
    SUBMIT: (SUBMISSIONS, REQUEST % 3),
}
STORED = frozenset(("publish", SUBMIT))
"""What the stream acknowledges itself."""

SLOW_KINDS = {FLOOR: (floor.REQUEST, SLOW_FLOOR), ACK: (names.REQUEST, SLOW)}


def ended(kind: str) -> str:
    """Where the outcomes of a kind are published; empty where there are none."""
    if kind in ("echo", "publish"):
        return ""
    return floor.COMPLETED if kind == FLOOR else names.COMPLETED


def config() -> Config:
    """Return a whole system with a new store, and a second pool for the seats of QA."""
    pools = {
        "default": PoolSettings(engine="scripted"),
        "slow": PoolSettings(
            engine="scripted",
            queues=("QA",),
            scripted_latency_ms=SEAT_MS,
            max_concurrency=MANY,
        ),
    }
    return Config(server=EmbeddedServer(port=0, temporary_store=True), pools=pools)


class Repeats:
    """Counts repeats up to `most`, and begins none that would hardly end within `budget_s`."""

    def __init__(self, most: int, budget_s: float = math.inf) -> None:
        self._most = most
        self._budget_s = budget_s

    def __iter__(self) -> Iterator[int]:
        begun = time.monotonic()
        for number in range(self._most):
            spent_s = time.monotonic() - begun
            if number and spent_s * (number + 1) / number > self._budget_s:
                return
            yield number


class Rig(Struct, frozen=True):
    """What is loaded, and who loads it. `processes` are the floor's and the client's."""

    system: RunningSystem
    bus: Bus
    processes: dict[str, Process]

    async def send(self, block: Block) -> Times:
        """Let the client send a block, and return when nothing of it is left to do."""
        load = self.processes["client"]
        assert load.stdin is not None
        assert load.stdout is not None
        load.stdin.write(msgspec.json.encode(block) + b"\n")
        times = msgspec.json.decode(await load.stdout.readline(), type=Times)
        await self._settled()
        return times

    async def _settled(self) -> None:
        before: Any = None
        while True:
            reply = await self.bus.request("$SRV.STATS.conclave-collector", b"")
            data = decode(StatsReply, reply.body).data
            now = (data, await self.bus.last_sequence(floor.STREAM))
            if data["open"] == 0 and now == before:
                return
            before = now
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def beside_floor() -> AsyncIterator[Rig]:
    """Start all of it, and end it."""
    async with running(config()) as system:
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
                floors = {"floor core": core, "floor agents": agents, "echo": echo}
                yield Rig(system, bus, {"client": load, **floors})
        await bus.close()


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
