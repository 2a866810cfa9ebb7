"""Plain Ray actors: `serve - SEATS` starts them, `load ADDRESS` is a driver of its own.

An asyncio actor coordinates, one asyncio actor a seat answers; they restart for ever and calls to
them are repeated (`max_restarts`, `max_task_retries`), as Ray's page on actor fault tolerance has
it. Nothing is stored, and there is nobody to publish to but the caller: an outcome is the call's
result.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ray

from tests.bench.rivals import local_ray
from tests.bench.rivals.load import Ended, Submit, ready, serve, until_stdin_ends

COORDINATOR = "coordinator"


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, max_concurrency=1000)
class Seat:
    """One worker: a process of its own."""

    async def pid(self) -> int:
        """Return the process number."""
        return os.getpid()

    async def answer(self, text: str) -> str:
        """Echo."""
        return text


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, max_concurrency=1000)
class Coordinator:
    """Asks the seats and gathers their answers."""

    def __init__(self, seats: list[Any]) -> None:
        self._seats = seats

    async def ask(self, text: str, seats: int) -> list[str]:
        """Return what so many seats answer."""
        asked = self._seats[:seats]
        return list(await asyncio.gather(*(seat.answer.remote(text) for seat in asked)))


@asynccontextmanager
async def client(address: str, ended: Ended) -> AsyncIterator[Submit]:
    """Call the coordinator; its reply is the outcome."""
    local_ray.join(address)
    coordinator = ray.get_actor(COORDINATOR)
    calls = set[asyncio.Task[None]]()

    async def call(task_id: str, seats: int) -> None:
        await coordinator.ask.remote("Add retries to the billing client", seats)
        ended(task_id)

    async def submit(task_id: str, seats: int) -> str:
        task = asyncio.create_task(call(task_id, seats))
        calls.add(task)
        task.add_done_callback(calls.discard)
        return task_id

    yield submit


def system(seats: int) -> None:
    """Run the actors."""
    with local_ray.cluster(cpus=2) as address:
        workers = [Seat.remote() for _ in range(seats)]
        pids = ray.get([worker.pid.remote() for worker in workers])
        coordinator = Coordinator.options(name=COORDINATOR).remote(workers)
        ray.get(coordinator.ask.remote("", seats))
        ready(url=address, workers=pids)
        until_stdin_ends()


if __name__ == "__main__":
    system(int(sys.argv[3])) if sys.argv[1] == "serve" else serve(client)
