"""AutoGen Core's distributed runtime: `serve - SEATS` starts it, `load ADDRESS` joins it.

A gRPC host, an orchestrator, and two worker runtimes that share the seats; the host allows an
agent type in one runtime only, so each seat is a type. The orchestrator asks by direct messages
and gathers, as in AutoGen's mixture of agents; requests and results are published to topics.
Nothing is stored. AutoGen restarts nothing, so a worker runtime that dies is started again here.
"""

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from autogen_core import (
    AgentId,
    ClosureAgent,
    ClosureContext,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    message_handler,
    try_get_known_serializers_for_type,
    type_subscription,
)
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from tests.bench.rivals.load import Ended, Submit, ready, serve

WORKERS = 2
RESULTS = TopicId("results", "default")


@dataclass
class UserTask:
    """What is to be done, by so many seats."""

    task_id: str
    seats: int
    text: str


@dataclass
class WorkerTask:
    """One seat's part."""

    text: str


@dataclass
class WorkerResult:
    """One seat's answer."""

    text: str


@dataclass
class FinalResult:
    """The result."""

    task_id: str
    results: list[str]


class Worker(RoutedAgent):
    """A seat."""

    @message_handler
    async def answer(self, message: WorkerTask, ctx: MessageContext) -> WorkerResult:  # noqa: ARG002
        """Echo."""
        return WorkerResult(message.text)


@type_subscription(topic_type="requests")
class Orchestrator(RoutedAgent):
    """Asks the seats and publishes what they answer."""

    @message_handler
    async def orchestrate(self, message: UserTask, ctx: MessageContext) -> None:  # noqa: ARG002
        """Fan out and gather."""
        seats = [AgentId(f"seat{number}", "default") for number in range(message.seats)]
        task = WorkerTask(message.text)
        answers = await asyncio.gather(*(self.send_message(task, seat) for seat in seats))
        result = FinalResult(message.task_id, [answer.text for answer in answers])
        await self.publish_message(result, RESULTS)


async def runtime(address: str) -> GrpcWorkerAgentRuntime:
    """Return a worker runtime that is connected to the host."""
    joined = GrpcWorkerAgentRuntime(host_address=address)
    for kind in (UserTask, WorkerTask, WorkerResult, FinalResult):
        joined.add_message_serializer(try_get_known_serializers_for_type(kind))
    await joined.start()
    return joined


async def host(address: str) -> None:
    """Run the host."""
    service = GrpcWorkerAgentRuntimeHost(address=address)
    service.start()
    print("started", flush=True)
    await service.stop_when_signal()


async def orchestrate(address: str) -> None:
    """Run the orchestrator."""
    joined = await runtime(address)
    await Orchestrator.register(joined, "orchestrator", lambda: Orchestrator("orchestrator"))
    print("started", flush=True)
    await joined.stop_when_signal()


async def work(address: str, *seats: str) -> None:
    """Run some seats."""
    joined = await runtime(address)
    for seat in seats:
        await Worker.register(joined, seat, lambda: Worker("seat"))
    print("started", flush=True)
    await joined.stop_when_signal()


@asynccontextmanager
async def client(address: str, ended: Ended) -> AsyncIterator[Submit]:
    """Publish requests, hear results; nothing tells that a request has arrived."""
    joined = await runtime(address)

    async def over(_: ClosureContext, message: FinalResult, __: MessageContext) -> None:
        ended(message.task_id)

    hears = TypeSubscription(topic_type=RESULTS.type, agent_type="listener")
    await ClosureAgent.register_closure(joined, "listener", over, subscriptions=lambda: [hears])

    async def submit(task_id: str, seats: int) -> str:
        task = UserTask(task_id, seats, "Add retries to the billing client")
        await joined.publish_message(task, TopicId("requests", "default"))
        return task_id

    yield submit
    await joined.stop()


async def started(*arguments: str) -> Process:
    """Start a part of this in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, *arguments, stdout=PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


async def system(seats: int) -> None:
    """Run all parts until stdin ends; start a worker again that has died."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    parts = [await started("host", address), await started("orchestrate", address)]
    shares = [[f"seat{n}" for n in range(seats) if n % WORKERS == part] for part in range(WORKERS)]
    workers = [await started("work", address, *share) for share in shares]

    async def keep(number: int) -> None:
        while True:
            await workers[number].wait()
            workers[number] = await started("work", address, *shares[number])

    keeping = [asyncio.create_task(keep(number)) for number in range(WORKERS)]
    ready(url=address, workers=[worker.pid for worker in workers])
    await asyncio.to_thread(sys.stdin.read)
    for task in keeping:
        task.cancel()
    for process in (*workers, *reversed(parts)):
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    if sys.argv[1] == "load":
        serve(client)
    elif sys.argv[1] == "serve":
        asyncio.run(system(int(sys.argv[3])))
    else:
        part = {"host": host, "orchestrate": orchestrate, "work": work}[sys.argv[1]]
        asyncio.run(part(*sys.argv[2:]))
