"""An agent takes from its queues what it has slots for, and leaves the rest to others."""

import asyncio
import json

import pytest

from actors.bus import Message
from subjects.streams import DELIBERATIONS, agent_consumer
from tests.harness.engines import Gated
from tests.harness.events import until
from tests.harness.system import System

QUEUES = ("DEV", "QA", "ARCHITECT", "DEVOPS", "DATA")
SLOTS = 8
WAITING = 20


async def unacknowledged(system: System, queue: str) -> int:
    """How many requests of a queue the server believes in somebody's hands."""
    subject = f"$JS.API.CONSUMER.INFO.{DELIBERATIONS}.agent-{queue}"
    return json.loads((await system.client.bus.request(subject, b"")).body)["num_ack_pending"]


async def test_five_queues_share_the_slots_of_one_agent(system: System):
    """Each pulled for all of them once, and nobody kept alive what had found no slot."""
    await system.core()
    for queue in QUEUES:
        await system.client.bus.make_consumer(agent_consumer(queue))
        asking = (system.client.ask(role=queue, num_agents=1) for _ in range(WAITING))
        await asyncio.gather(*asking)
    engine = Gated()
    agent = await system.agent(engine, queues=QUEUES, max_concurrency=SLOTS)
    await until(lambda: len(engine.begun) == SLOTS)
    await asyncio.sleep(0.3)  # what else it might pull is on its way
    pulled = sum([await unacknowledged(system, queue) for queue in QUEUES])
    assert pulled == len(agent._held) <= SLOTS + len(QUEUES)
    engine.gate.set()
    await until(lambda: agent._answered == WAITING * len(QUEUES))


async def test_who_drains_says_so_until_the_last_text_is_written(
    system: System, monkeypatch: pytest.MonkeyPatch
):
    """Else it is written by another agent as well, and counted as tried."""
    monkeypatch.setattr("actors.agents.agent.ACK_WAIT_S", 0.3)
    heard: list[bytes] = []

    def hear(message: Message) -> None:
        heard.append(message.body)

    await system.core()
    engine = Gated()
    agent = await system.agent(engine)
    asked = await system.client.ask(num_agents=1)
    await until(lambda: engine.begun)
    draining = asyncio.ensure_future(agent.drain())
    await until(lambda: not len(agent._loops))
    await system.client.bus.listen(f"$JS.ACK.{DELIBERATIONS}.agent-DEV.>", hear)
    await until(lambda: heard.count(b"+WPI") >= 2)
    engine.gate.set()
    await draining
    assert (await system.client.outcome(asked.task_id)).status == "COMPLETED"
