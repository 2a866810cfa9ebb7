"""A request that kills whatever agent takes it, on a whole system with its own patience."""

import asyncio
import os
import signal

import pytest

from actors.bus import Message
from actors.bus.nats_bus import connect
from actors.settings import PoolSettings
from schemas.codec import decode
from schemas.dead_letter import DeadLetterListQuery
from schemas.deliberation import Constraints, DeliberationRequest
from schemas.progress import Progress, SeatStarted
from subjects import names
from subjects.streams import MAX_DELIVERIES
from supervisor.client import Client
from supervisor.config import Config, EmbeddedServer
from supervisor.up import running

SEAT = "agent-dev-002"
CONFIG = Config(
    server=EmbeddedServer(port=0, temporary_store=True),
    pools={
        "default": PoolSettings(engine="scripted", scripted_latency_ms=300, queues=("DEV",)),
        "healthy": PoolSettings(engine="scripted", queues=("*",)),
    },
)


def request(role: str, task_id: str) -> DeliberationRequest:
    return DeliberationRequest(
        task_description="Is this dangerous?",
        role=role,
        task_id=task_id,
        protocol="independent",
        constraints=Constraints(timeout_seconds=600.0),
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_an_agent_that_dies_of_a_request_does_not_take_the_system_with_it():
    async with running(CONFIG) as system:
        bus = await connect(system.nats, "poisoner")
        client = Client(bus)
        kills = 0

        async def strike(message: Message) -> None:
            nonlocal kills
            event = decode(Progress, message.body)
            if isinstance(event, SeatStarted) and event.seat == SEAT:
                kills += 1
                os.kill(system.pid("default-1"), signal.SIGKILL)

        await bus.serve(names.progress("deadly"), strike)
        await client.submit(request("DEV", "deadly"))
        other = asyncio.ensure_future(client.submit(request("QA", "harmless")))
        await other
        assert (await client.wait("harmless", 60)).status == "COMPLETED"

        result = await client.wait("deadly", 200)
        assert (result.status, len(result.results)) == ("COMPLETED", 2)
        assert [(each.seat, each.code) for each in result.failures] == [(SEAT, "poison")]
        assert kills == MAX_DELIVERIES
        assert result.duration_ms < 150_000
        (letter,) = (await client.dead_letters(DeadLetterListQuery())).letters
        assert (letter.task_id, letter.attempts) == ("deadly", MAX_DELIVERIES)
        await bus.close()
