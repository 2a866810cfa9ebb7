"""The floor: the message pattern of a deliberation, on bare nats-py and msgspec, nothing else.

    python -m tests.bench.floor core URL     opens, fans out, gathers, stores the outcome
    python -m tests.bench.floor agents URL   echoes, after `wait_ms` if the request says so

As in the product a request is stored before it is acknowledged, every seat has a stored request
and a stored response, and the outcome is a compare-and-set that the stream republishes. Nothing
is validated, nothing survives a fault, there are no deadlines, no rounds and no errors.
"""

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable

import msgspec
import nats
import uvloop
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, RePublish

STREAM = "FLOOR"
REQUEST = "floor.request"
COMPLETED = "floor.completed"
FIRST = {"Nats-Expected-Last-Subject-Sequence": "0"}


class Request(Struct):
    """What of a request matters here."""

    task_description: str
    num_agents: int
    wait_ms: float = 0.0


class Ask(Struct):
    """One seat's request, and its response."""

    task_id: str
    seat: int
    text: str
    wait_ms: float = 0.0


class Outcome(Struct):
    """The result."""

    task_id: str
    results: list[str]


TASKS = set[asyncio.Future[None]]()


def later(act: Callable[[Msg], Awaitable[None]]) -> Callable[[Msg], Awaitable[None]]:
    """Return a callback that lets the next message be read while this one is acted on."""

    async def spawn(message: Msg) -> None:
        task = asyncio.ensure_future(act(message))
        TASKS.add(task)
        task.add_done_callback(TASKS.discard)

    return spawn


class Core:
    """Dispatcher and collector in one process."""

    def __init__(self, connection: Client) -> None:
        self._connection = connection
        self._jetstream = connection.jetstream()
        self._seats: dict[str, int] = {}
        self._answers: defaultdict[str, list[str]] = defaultdict(list)

    async def run(self) -> None:
        """Make the stream and work until killed."""
        await self._jetstream.add_stream(
            name=STREAM,
            subjects=["floor.opened.*", "floor.ask", "floor.answer.*", "floor.outcome.*"],
            republish=RePublish(src="floor.outcome.*", dest=COMPLETED),
        )
        await self._connection.subscribe(REQUEST, "floor", cb=later(self._open))
        await self._jetstream.subscribe("floor.opened.*", cb=later(self._fan_out), manual_ack=True)
        await self._jetstream.subscribe(
            "floor.answer.*", cb=later(self._gather), ordered_consumer=True
        )
        await self._connection.flush()
        print("ready", flush=True)
        await asyncio.Event().wait()

    async def _open(self, message: Msg) -> None:
        task_id = os.urandom(12).hex()
        self._seats[task_id] = msgspec.json.decode(message.data, type=Request).num_agents
        subject = f"floor.opened.{task_id}"
        await self._jetstream.publish(subject, message.data, headers=FIRST)
        await message.respond(b'{"task_id":"%s"}' % task_id.encode())

    async def _fan_out(self, message: Msg) -> None:
        task_id = message.subject.rpartition(".")[2]
        request = msgspec.json.decode(message.data, type=Request)
        await asyncio.gather(
            *(
                self._jetstream.publish(
                    "floor.ask",
                    msgspec.json.encode(
                        Ask(task_id, seat, request.task_description, request.wait_ms)
                    ),
                    headers={"Nats-Msg-Id": f"ask.{task_id}.{seat}"},
                )
                for seat in range(request.num_agents)
            )
        )
        await message.ack()

    async def _gather(self, message: Msg) -> None:
        answer = msgspec.json.decode(message.data, type=Ask)
        answers = self._answers[answer.task_id]
        answers.append(answer.text)
        if len(answers) < self._seats[answer.task_id]:
            return
        del self._seats[answer.task_id], self._answers[answer.task_id]
        body = msgspec.json.encode(Outcome(answer.task_id, answers))
        await self._jetstream.publish(f"floor.outcome.{answer.task_id}", body, headers=FIRST)


async def agents(connection: Client) -> None:
    """Echo what is asked."""
    jetstream = connection.jetstream()

    async def echo(message: Msg) -> None:
        ask = msgspec.json.decode(message.data, type=Ask)
        if ask.wait_ms:
            await asyncio.sleep(ask.wait_ms / 1000)
        await jetstream.publish(
            f"floor.answer.{ask.task_id}",
            message.data,
            headers={"Nats-Msg-Id": f"answer.{ask.task_id}.{ask.seat}"},
        )
        await message.ack()

    config = ConsumerConfig(max_ack_pending=10_000)
    await jetstream.subscribe("floor.ask", "agents", cb=later(echo), manual_ack=True, config=config)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def main() -> None:
    """Run one part until killed."""
    connection = await nats.connect(sys.argv[2], name=f"floor {sys.argv[1]}")
    await (Core(connection).run() if sys.argv[1] == "core" else agents(connection))


if __name__ == "__main__":
    uvloop.run(main())
