"""A client in a process of its own, on bare nats-py: it sends what it is told and times replies.

    python -m tests.bench.client load URL    for each `Block` on a line of stdin, one `Times`
    python -m tests.bench.client echo URL    answers `bench.echo`: a reply without a product

closed   `in_flight` loops, each sending its next request when its reply is there,
         or with `ended` when the deliberation it asked for is over
paced    arrivals are drawn beforehand (Poisson) and latency counts from the intended time, so a
         slow reply cannot hide the wait of those behind it
"""

import asyncio
import random
import sys
import time
from collections import defaultdict
from functools import partial

import msgspec
import nats
import uvloop
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

ECHO = "bench.echo"
TIMEOUT_S = 20.0


class Block(Struct, frozen=True, kw_only=True):
    """Requests of one kind. With `rate` (per second) they are paced, else closed.

    With `stored` they are publishes to a stream, by nats-py's own JetStream context. `ended` is
    where outcomes are published; without it nobody waits for them.
    """

    subject: str
    body: str
    requests: int
    warm_up: int = 0
    in_flight: int = 1
    ended: str = ""
    stored: bool = False
    rate: float = 0.0
    seed: int = 0


class Times(Struct, frozen=True, kw_only=True):
    """Latencies after the warm-up, and the time all of those took together."""

    latencies_ms: list[float]
    wall_s: float
    errors: int = 0
    last_error: str = ""


class Load:
    """One block being sent."""

    def __init__(self, connection: Client, block: Block) -> None:
        self._connection = connection
        self._block = block
        self._body = block.body.encode()
        self._jetstream = connection.jetstream()
        self._over: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._latencies: list[float] = []
        self._errors = 0
        self._last_error = ""

    async def run(self) -> Times:
        """Send all of it."""
        endings = None
        if self._block.ended:
            endings = await self._connection.subscribe(self._block.ended, cb=self._on_end)
        await self._closed(self._block.warm_up)
        self._latencies.clear()
        begun = time.perf_counter()
        await (self._paced() if self._block.rate else self._closed(self._block.requests))
        wall = time.perf_counter() - begun
        if endings is not None:
            await endings.unsubscribe()
        return Times(
            latencies_ms=self._latencies,
            wall_s=wall,
            errors=self._errors,
            last_error=self._last_error,
        )

    async def _closed(self, requests: int) -> None:
        left = iter(range(requests))

        async def loop() -> None:
            for _ in left:
                await self._one(time.perf_counter())

        await asyncio.gather(*(loop() for _ in range(self._block.in_flight)))

    async def _paced(self) -> None:
        draw = random.Random(self._block.seed)
        intended = time.perf_counter() + 0.05
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._block.requests):
                await _until(intended)
                tasks.create_task(self._one(intended))
                intended += draw.expovariate(self._block.rate)

    async def _one(self, since: float) -> None:
        subject = self._block.subject
        try:
            if self._block.stored:
                await self._jetstream.publish(subject, self._body, timeout=TIMEOUT_S)
                self._latencies.append((time.perf_counter() - since) * 1000)
                return
            reply = await self._connection.request(subject, self._body, timeout=TIMEOUT_S)
        except Error as error:
            self._failed(repr(error))
            return
        self._latencies.append((time.perf_counter() - since) * 1000)
        if reply.headers and "Nats-Service-Error" in reply.headers:
            self._failed(reply.headers["Nats-Service-Error"])
        elif self._block.ended:
            task_id = msgspec.json.decode(reply.data)["task_id"]
            async with asyncio.timeout(TIMEOUT_S):
                await self._over[task_id].wait()
            del self._over[task_id]

    async def _on_end(self, message: Msg) -> None:
        stored_as = (message.headers or {})["Nats-Subject"]
        self._over[stored_as.rpartition(".")[2]].set()

    def _failed(self, why: str) -> None:
        self._errors += 1
        self._last_error = why


async def _until(moment: float) -> None:
    """Sleep, and for the last two milliseconds stay awake: uvloop's timers count milliseconds."""
    await asyncio.sleep(max(0.0, moment - time.perf_counter() - 0.002))
    while time.perf_counter() < moment:
        await asyncio.sleep(0)


async def load(url: str) -> None:
    """Send blocks from stdin until it ends."""
    connection = await nats.connect(url, name="bench load")
    ask = partial(asyncio.get_running_loop().run_in_executor, None, sys.stdin.buffer.readline)
    while line := await ask():
        times = await Load(connection, msgspec.json.decode(line, type=Block)).run()
        sys.stdout.buffer.write(msgspec.json.encode(times) + b"\n")
        sys.stdout.buffer.flush()
    await connection.close()


async def echo(url: str) -> None:
    """Answer until killed."""
    connection = await nats.connect(url, name="bench echo")

    async def answer(message: Msg) -> None:
        await connection.publish(message.reply, message.data)

    await connection.subscribe(ECHO, cb=answer)
    await connection.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run({"load": load, "echo": echo}[sys.argv[1]](sys.argv[2]))
