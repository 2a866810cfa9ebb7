"""The design that Conclave replaces: a Ray task an agent, which calls a vLLM HTTP server.

    serve URL SEATS   on a nats-server that runs: the model server, Ray, and the dispatcher
    load URL          hands over with a publish that the stream acknowledges

The dispatcher pulls from JetStream and starts one Ray task a seat; each calls the model through
the OpenAI client, as vLLM's pages have it, and publishes its answer to JetStream; the dispatcher
gathers and publishes the outcome. Connections are kept in Ray's worker processes. The model
server here is the least that speaks chat completions over HTTP, without latency: what is compared
is the orchestration. RIVAL_MODEL_URL names a real one instead.
"""

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
import psutil
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from tests.bench.rivals import local_ray
from tests.bench.rivals.load import Ended, Submit, ready, serve
from tests.bench.rivals.model_server import listening
from tests.bench.rivals.ray_http_agent import agent

STREAM = "TASKS"
CPUS = 2


def consumer() -> ConsumerConfig:
    """Return a consumer's settings, each its own: nats-py writes the subject into them."""
    return ConsumerConfig(ack_wait=10, max_ack_pending=10_000)


class Dispatcher:
    """Starts Ray tasks, gathers answers; what is open is kept in memory."""

    def __init__(self, connection: Any, nats_url: str, model_url: str) -> None:
        self._jetstream = connection.jetstream()
        self._urls = (nats_url, model_url)
        self._seats: dict[str, int] = {}
        self._answers: defaultdict[str, dict[int, str]] = defaultdict(dict)

    async def start(self) -> None:
        """Subscribe."""
        await self._jetstream.add_stream(name=STREAM, subjects=["tasks.>"])
        for subject, act in (("tasks.request", self.fan_out), ("tasks.answer.*", self.gather)):
            await self._jetstream.subscribe(subject, cb=act, manual_ack=True, config=consumer())

    async def fan_out(self, message: Msg) -> None:
        """Start a Ray task a seat."""
        task = json.loads(message.data)
        self._seats[task["task_id"]] = task["seats"]
        for seat in range(task["seats"]):
            agent.remote(*self._urls, task["task_id"], seat, task["text"])
        await message.ack()

    async def gather(self, message: Msg) -> None:
        """Publish the outcome when the last seat has answered."""
        task_id = message.subject.rpartition(".")[2]
        answer = json.loads(message.data)
        if task_id in self._seats:
            answers = self._answers[task_id]
            answers[answer["seat"]] = answer["text"]
            if len(answers) == self._seats[task_id]:
                del self._seats[task_id], self._answers[task_id]
                body = json.dumps({"results": list(answers.values())}).encode()
                await self._jetstream.publish(f"tasks.outcome.{task_id}", body)
        await message.ack()


@asynccontextmanager
async def client(url: str, ended: Ended) -> AsyncIterator[Submit]:
    """Publish requests, hear outcomes."""
    connection = await nats.connect(url)
    jetstream = connection.jetstream()

    async def over(message: Msg) -> None:
        ended(message.subject.rpartition(".")[2])

    async def submit(task_id: str, seats: int) -> str:
        task = {"task_id": task_id, "seats": seats, "text": "Add retries to the billing client"}
        await jetstream.publish("tasks.request", json.dumps(task).encode(), timeout=20.0)
        return task_id

    await connection.subscribe("tasks.outcome.*", cb=over)
    yield submit
    await connection.close()


async def system(url: str) -> None:
    """Run the model server, Ray and the dispatcher, until stdin ends."""
    async with listening(os.environ.get("RIVAL_MODEL_URL", "")) as model_url:
        with local_ray.cluster(cpus=CPUS):
            dispatcher = Dispatcher(await nats.connect(url), url, model_url)
            await dispatcher.start()
            warm = [agent.remote(url, model_url, "warm", seat, "") for seat in range(32)]
            await asyncio.gather(*warm)
            ready(url=url, workers=_workers())
            await asyncio.to_thread(sys.stdin.read)


def _workers() -> list[int]:
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        children = psutil.Process().children(recursive=True)
        found = [each.pid for each in children if each.name().startswith("ray::")]
        if found:
            return found
    raise RuntimeError("no Ray worker process was found")


if __name__ == "__main__":
    asyncio.run(system(sys.argv[2])) if sys.argv[1] == "serve" else serve(client)
