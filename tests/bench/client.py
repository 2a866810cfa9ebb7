"""A client in a process of its own, on bare nats-py: it sends what it is told and times replies.

    python -m tests.bench.client load URL    for each `Block` on a line of stdin, one `Times`
    python -m tests.bench.client echo URL    answers `bench.echo`: a reply without a product

closed   `in_flight` loops, each sending its next request when its reply is there,
         or with `ended` when the deliberation it asked for is over
open     arrivals are drawn beforehand (Poisson), sent by a thread that does nothing but sleep
         until each, and every latency counts from the intended time, so a slow reply cannot hide
         the wait of those behind it
"""

import asyncio
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate

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
    """Requests of one kind. With `rate` (per second) their arrivals are open, else closed.

    With `stored` they are publishes to a stream, by nats-py's own JetStream context; a `subject`
    that ends in a dot is followed by a new task id. `ended` is where outcomes are published;
    without it nobody waits for them. The warm-up comes first.
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
    """What came after the warm-up: latencies to the reply, to the outcome, and the time of all."""

    latencies_ms: list[float]
    wholes_ms: list[float] = []
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
        self._wholes: list[float] = []
        self._errors = 0
        self._last_error = ""

    async def run(self) -> Times:
        """Send all of it."""
        endings = None
        if self._block.ended:
            endings = await self._connection.subscribe(self._block.ended, cb=self._on_end)
        begun = await (self._open() if self._block.rate else self._closed())
        wall_s = time.perf_counter() - begun
        if endings is not None:
            await endings.unsubscribe()
        return Times(
            latencies_ms=self._latencies,
            wholes_ms=self._wholes,
            wall_s=wall_s,
            errors=self._errors,
            last_error=self._last_error,
        )

    async def _closed(self) -> float:
        await self._loops(self._block.warm_up, counts=False)
        begun = time.perf_counter()
        await self._loops(self._block.requests, counts=True)
        return begun

    async def _loops(self, requests: int, *, counts: bool) -> None:
        left = iter(range(requests))

        async def loop() -> None:
            for _ in left:
                await self._one(time.perf_counter(), counts=counts)

        await asyncio.gather(*(loop() for _ in range(self._block.in_flight)))

    async def _open(self) -> float:
        block = self._block
        draw = random.Random(block.seed)
        pauses = (draw.expovariate(block.rate) for _ in range(block.warm_up + block.requests))
        intended = list(accumulate(pauses, initial=time.perf_counter() + 0.05))[1:]
        first = intended[block.warm_up]
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:

            def begin(moment: float) -> None:
                tasks.create_task(self._one(moment, counts=moment >= first))

            await loop.run_in_executor(
                None, _at, intended, partial(loop.call_soon_threadsafe, begin)
            )
        return first

    async def _one(self, since: float, *, counts: bool) -> None:
        try:
            replied, over = await self._ask()
        except (Error, TimeoutError, KeyError) as error:
            self._errors += 1
            self._last_error = repr(error)
            return
        if counts:
            self._latencies.append((replied - since) * 1000)
            if over:
                self._wholes.append((over - since) * 1000)

    async def _ask(self) -> tuple[float, float]:
        """When the reply was there and when all was over, or 0 if that is not waited for."""
        block = self._block
        task_id = os.urandom(12).hex() if block.subject.endswith(".") else ""
        if block.stored:
            subject = block.subject + task_id
            await self._jetstream.publish(subject, self._body, timeout=TIMEOUT_S)
            replied = time.perf_counter()
        else:
            reply = await self._connection.request(block.subject, self._body, timeout=TIMEOUT_S)
            replied = time.perf_counter()
            if reply.headers and "Nats-Service-Error" in reply.headers:
                raise Error(reply.headers["Nats-Service-Error"])
        if not block.ended:
            return replied, 0.0
        task_id = task_id or msgspec.json.decode(reply.data)["task_id"]
        async with asyncio.timeout(TIMEOUT_S):
            await self._over[task_id].wait()
        del self._over[task_id]
        return replied, time.perf_counter()

    async def _on_end(self, message: Msg) -> None:
        stored_as = (message.headers or {})["Nats-Subject"]
        self._over[stored_as.rpartition(".")[2]].set()


def _at(moments: Sequence[float], act: Callable[[float], object]) -> None:
    """Call `act` at each moment; in a thread, since an event loop's timers count milliseconds."""
    for moment in moments:
        time.sleep(max(0.0, moment - time.perf_counter()))
        act(moment)


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
