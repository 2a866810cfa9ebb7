"""Submissions, as a client makes them that knows NATS alone."""

import json
from typing import Any

from subjects import names
from subjects.streams import DELIBERATIONS
from tests.harness.system import System

ASK: dict[str, Any] = {
    "task_description": "Add retries",
    "role": "DEV",
    "protocol": "independent",
    "num_agents": 1,
}


async def submit(system: System, task_id: str, body: Any = ASK, **headers: str) -> dict[str, Any]:
    """As `nats req deliberation.submit.<task_id>` does; return the server's receipt."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await system.client.bus.request(f"deliberation.submit.{task_id}", raw, headers)
    receipt = json.loads(reply.body)
    assert receipt["stream"] == DELIBERATIONS
    assert receipt["seq"] > 0
    return receipt


async def letters(system: System) -> list[dict[str, Any]]:
    return (await system.client.call(names.DEAD_LIST)).body["letters"]


async def opened(system: System) -> int:
    return len(await system.client.bus.scan(DELIBERATIONS, names.ANY_OPENED))


async def somebody_comes(system: System) -> None:
    await system.core()
    await system.agent()
