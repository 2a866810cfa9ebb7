"""Texts to be generated, so many at a time, and the times they took; the same on every way.

    python -m tests.bench.engine_load URL    sends each `Sending` on a line of stdin to an agent

The client speaks bare nats-py, asks a queue of agents as the dispatcher would, and takes the
answers from where the collector does.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import nats
import uvloop
from msgspec import Struct
from nats.aio.msg import Msg

from actors.deliberations.prompts import PROPOSE, chat, seat_block, task_block
from actors.engines.engine import Generation
from schemas.agent import AgentRequest
from schemas.council import Sampling
from subjects import names

TIMEOUT_S = 120.0
One = Callable[[int, str], Awaitable[tuple[float | None, int]]]
"""Has one text written, told its number and a name unique in the load; returns the seconds to its
first piece, None if there was none to be seen, and its tokens."""


class Load(Struct, frozen=True, kw_only=True):
    """`texts` of up to `max_tokens`, the same for the same numbers; `in_flight` at a time."""

    name: str
    texts: int
    in_flight: int
    max_tokens: int
    seed: int = 0

    def generation(self, number: int) -> Generation:
        """What the seat of this number is asked."""
        task = f"Case {self.seed}.{number}. Add retries with back-off to the billing client."
        seat = seat_block("DEV", f"engineer {number} who reads what is missing", PROPOSE)
        return Generation(
            request_id=f"{self.name}-{number}",
            seat="seat-01",
            queue="",
            messages=chat(task_block(task), (), seat),
            sampling=Sampling(max_tokens=self.max_tokens, seed=1_000 * self.seed + number),
        )


class Sending(Struct, frozen=True):
    """A load for the agents of one queue."""

    queue: str
    load: Load


class Times(Struct, frozen=True, kw_only=True):
    """Of one load: the wall time of all, the processor time that it cost the process which holds
    the engine's front end, and each text's time to the first token.
    """

    wall_s: float
    host_s: float = 0.0
    tokens: int
    first_ms: list[float]


async def load(asked: Load, one: One) -> Times:
    """Keep `in_flight` texts in the making until all are written."""
    left = iter(range(asked.texts))
    found: list[tuple[float | None, int]] = []

    async def loop() -> None:
        found.extend([await one(number, f"{asked.name}-{number}") for number in left])

    begun = time.perf_counter()
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*(loop() for _ in range(asked.in_flight)))
    return Times(
        wall_s=time.perf_counter() - begun,
        tokens=sum(tokens for _, tokens in found),
        first_ms=[1000 * seconds for seconds, _ in found if seconds is not None],
    )


class _Event(Struct):
    """What of a progress event matters here."""

    event: str


class _Usage(Struct, frozen=True):
    completion_tokens: int = 0


class _Answer(Struct):
    """What of a response matters here."""

    task_id: str
    usage: _Usage = _Usage()
    failure: msgspec.Raw = msgspec.Raw()


class Client:
    """Asks agents and waits for their answers."""

    def __init__(self, connection: nats.NATS) -> None:
        self._connection = connection
        self._jetstream = connection.jetstream()
        self._first: dict[str, float] = {}
        self._answers: dict[str, asyncio.Future[int]] = {}
        self._answer = msgspec.json.Decoder(_Answer)
        self._event = msgspec.json.Decoder(_Event)

    async def start(self) -> None:
        await self._connection.subscribe(names.ANY_PROGRESS, cb=self._on_progress)
        await self._connection.subscribe(names.ANY_AGENT_RESPONSE, cb=self._on_response)
        await self._connection.flush()

    async def send(self, sending: Sending) -> Times:
        """Have a load written."""
        return await load(sending.load, partial(self._one, sending))

    async def _one(self, sending: Sending, number: int, mark: str) -> tuple[float | None, int]:
        asked, now = sending.load.generation(number), time.time_ns() // 1_000_000
        body = msgspec.json.encode(
            AgentRequest(
                task_id=mark,
                round=0,
                seat=asked.seat,
                role="DEV",
                stage="propose",
                messages=asked.messages,
                sampling=asked.sampling,
                created_at_ms=now,
                deadline_ms=now + 1000 * int(TIMEOUT_S),
            )
        )
        self._answers[mark] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        await self._jetstream.publish(names.agent_request(sending.queue), body)
        tokens = await self._answers[mark]
        del self._answers[mark]
        first = self._first.pop(mark, None)
        return first and first - begun, tokens

    async def _on_progress(self, message: Msg) -> None:
        mark = message.subject.rpartition(".")[2]
        if mark not in self._first and self._event.decode(message.data).event == "delta":
            self._first[mark] = time.perf_counter()

    async def _on_response(self, message: Msg) -> None:
        answer = self._answer.decode(message.data)
        waiting = self._answers.get(answer.task_id)
        if waiting is None or waiting.done():
            return  # stored again because its receipt was late: the stream drops it
        if answer.failure:
            waiting.set_exception(RuntimeError(bytes(answer.failure)))
        else:
            waiting.set_result(answer.usage.completion_tokens)


async def main(url: str) -> None:
    connection = await nats.connect(url, name="bench engine load")
    client = Client(connection)
    await client.start()
    print("ready", flush=True)
    ask = partial(asyncio.get_running_loop().run_in_executor, None, sys.stdin.buffer.readline)
    while line := await ask():
        times = await client.send(msgspec.json.decode(line, type=Sending))
        sys.stdout.buffer.write(msgspec.json.encode(times) + b"\n")
        sys.stdout.buffer.flush()
    await connection.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
