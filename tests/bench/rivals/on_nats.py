"""Clients of the two contestants on bare NATS: Conclave, and the floor of its message pattern.

python -m tests.bench.rivals.on_nats conclave|floor URL
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from nats.aio.msg import Msg

from tests.bench.rivals.load import Ended, Submit, serve

TIMEOUT_S = 20.0
OUTCOMES = ("deliberation.completed", "deliberation.failed", "deliberation.timeout")


@asynccontextmanager
async def conclave(url: str, ended: Ended) -> AsyncIterator[Submit]:
    """Ask the council BENCH, as any program would."""
    connection = await nats.connect(url)

    async def over(message: Msg) -> None:
        ended((message.headers or {})["Nats-Subject"].rpartition(".")[2])

    async def submit(task_id: str, seats: int) -> str:
        body = {
            "task_id": task_id, "task_description": "Add retries to the billing client",
            "role": "BENCH", "protocol": "independent", "num_agents": seats,
        }  # fmt: skip
        data = json.dumps(body).encode()
        reply = await connection.request("deliberation.request", data, timeout=TIMEOUT_S)
        if wrong := (reply.headers or {}).get("Nats-Service-Error"):
            raise RuntimeError(wrong)
        return task_id

    for subject in OUTCOMES:
        await connection.subscribe(subject, cb=over)
    yield submit
    await connection.close()


@asynccontextmanager
async def floor(url: str, ended: Ended) -> AsyncIterator[Submit]:
    """Ask `tests/bench/floor.py`."""
    connection = await nats.connect(url)

    async def over(message: Msg) -> None:
        ended((message.headers or {})["Nats-Subject"].rpartition(".")[2])

    async def submit(_: str, seats: int) -> str:
        data = b'{"task_description": "Add retries to the billing client", "num_agents": %d}'
        reply = await connection.request("floor.request", data % seats, timeout=TIMEOUT_S)
        return str(json.loads(reply.data)["task_id"])

    await connection.subscribe("floor.completed", cb=over)
    yield submit
    await connection.close()


if __name__ == "__main__":
    serve({"conclave": conclave, "floor": floor}[sys.argv[1]])
