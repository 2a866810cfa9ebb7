"""FastStream on JetStream: `serve URL SEATS` starts it on a nats-server that runs, `load URL`.

Push consumers with a queue group and `max_workers`, as its NATS pages have it by default (pull
"without strict time limitations"); acknowledged after the handler. Workers are scaled and
restarted by `faststream run --workers`. The gatherer is one process more and keeps what it has
in memory. `ack_wait` is Conclave's.
"""

import asyncio
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from faststream import FastStream
from faststream.nats import JStream, NatsBroker
from nats.js.api import ConsumerConfig
from pydantic import BaseModel

from tests.bench.rivals.load import Ended, Submit, ready, serve, until_stdin_ends

WORKERS = 2
STREAM = JStream(name="JOBS", subjects=["jobs.>"])


def consumer() -> ConsumerConfig:
    """Return a consumer's settings, each its own: nats-py writes the subject into them."""
    return ConsumerConfig(ack_wait=10, max_ack_pending=10_000)


class Job(BaseModel):
    """What is to be done, by so many seats."""

    task_id: str
    seats: int
    text: str


class Ask(BaseModel):
    """One seat's part, and its answer."""

    task_id: str
    seat: int
    seats: int
    text: str


class Outcome(BaseModel):
    """The result."""

    task_id: str
    results: list[str]


broker = NatsBroker(os.environ.get("RIVAL_NATS", "nats://127.0.0.1:4222"), logger=None)
app = FastStream(broker, logger=None)


@app.after_startup
async def started() -> None:
    """Say so."""
    print("started", flush=True)


if os.environ.get("RIVAL_PART") == "gatherer":
    answers: defaultdict[str, dict[int, str]] = defaultdict(dict)
    over: set[str] = set()

    @broker.subscriber(
        "jobs.request", queue="fan-out", stream=STREAM, config=consumer(), max_workers=64
    )
    async def fan_out(job: Job) -> None:
        """Ask every seat."""
        asks = [
            Ask(task_id=job.task_id, seat=seat, seats=job.seats, text=job.text)
            for seat in range(job.seats)
        ]
        await asyncio.gather(*(broker.publish(ask, "jobs.ask", stream=STREAM.name) for ask in asks))

    @broker.subscriber(
        "jobs.answer", queue="gather", stream=STREAM, config=consumer(), max_workers=64
    )
    async def gather(answer: Ask) -> None:
        """Publish the result once every seat has answered; an answer twice counts once."""
        if answer.task_id in over:
            return
        results = answers[answer.task_id]
        results[answer.seat] = answer.text
        if len(results) == answer.seats:
            over.add(answer.task_id)
            del answers[answer.task_id]
            outcome = Outcome(task_id=answer.task_id, results=list(results.values()))
            await broker.publish(outcome, "jobs.outcome", stream=STREAM.name)

elif os.environ.get("RIVAL_PART") == "worker":

    @broker.subscriber("jobs.ask", queue="work", stream=STREAM, config=consumer(), max_workers=64)
    @broker.publisher("jobs.answer", stream=STREAM.name)
    async def echo(ask: Ask) -> Ask:
        """Answer."""
        return ask


@asynccontextmanager
async def client(url: str, ended: Ended) -> AsyncIterator[Submit]:
    """Hand over with a publish that the stream acknowledges; hear outcomes."""
    async with NatsBroker(url, logger=None) as mine:

        @mine.subscriber("jobs.outcome")
        async def over(outcome: Outcome) -> None:
            ended(outcome.task_id)

        await mine.start()

        async def submit(task_id: str, seats: int) -> str:
            job = Job(task_id=task_id, seats=seats, text="Add retries to the billing client")
            await mine.publish(job, "jobs.request", stream=STREAM.name, timeout=20.0)
            return task_id

        yield submit


def system(url: str) -> None:
    """Run one gatherer and the workers."""
    program = [str(Path(sys.executable).with_name("faststream")), "run", f"{__spec__.name}:app"]
    parts = []
    for part, options in (("gatherer", []), ("worker", ["--workers", str(WORKERS)])):
        env = os.environ | {"RIVAL_NATS": url, "RIVAL_PART": part, "PYTHONPATH": str(Path.cwd())}
        process = subprocess.Popen([*program, *options], env=env, stdout=subprocess.PIPE)
        parts.append(process)
        assert process.stdout is not None
        for _ in range(WORKERS if options else 1):
            process.stdout.readline()
    pids = [each.pid for each in psutil.Process(parts[1].pid).children() if _works(each)]
    ready(url=url, workers=pids)
    until_stdin_ends()
    for process in parts:
        process.terminate()
        process.wait()


def _works(process: psutil.Process) -> bool:
    return "spawn_main" in " ".join(process.cmdline())


if __name__ == "__main__":
    system(sys.argv[2]) if sys.argv[1] == "serve" else serve(client)
