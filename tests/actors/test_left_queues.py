"""Queues of deleted councils: served as long as they may be asked, and not for ever."""

import json
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.clock import now_ms
from actors.councils import STILL_ASKED_S
from subjects import names
from subjects.streams import DELIBERATIONS, agent_consumer
from tests.actors.running import started
from tests.harness.engines import Gated
from tests.harness.events import until, until_async
from tests.harness.system import System

QA = {"role": "QA"}
SEATS = [{"id": "tester", "persona": "breaks things"}]


async def consumer(system: System, queue: str) -> Any:
    """What nats-server tells of a queue's consumer; None when there is none."""
    subject = f"$JS.API.CONSUMER.INFO.{DELIBERATIONS}.{agent_consumer(queue).durable}"
    told = json.loads((await system.client.bus.request(subject, b"")).body)
    return told.get("config")


async def is_gone(system: System, queue: str) -> bool:
    return await consumer(system, queue) is None


async def left(agent: Agent, queue: str) -> None:
    """Let an agent believe that much time is over, until it has left a queue."""
    agent._clock = lambda: now_ms() + int(STILL_ASKED_S * 1_000) + 1
    await until(lambda: queue not in agent._metadata()["queues"].split(","))
    agent._clock = now_ms


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents look often, and the server waits for those who pull but a moment."""
    monkeypatch.setattr("actors.agents.agent.LOOK_S", 0.05)
    monkeypatch.setattr("actors.councils.registry.STILL_ASKED_S", 0.5)


async def test_what_was_asked_before_is_answered_by_an_agent_that_starts_after(system: System):
    await system.core()
    asked = await system.client.ask("QA")
    await system.client.call(names.COUNCIL_DELETE, QA)
    await system.agent()
    assert (await system.client.outcome(asked.task_id)).status == "COMPLETED"


@pytest.mark.usefixtures("watchful")
async def test_a_queue_is_left_once_nobody_can_ask_and_its_consumer_goes(council: System):
    agent = await started(council, "agent")
    await until_async(lambda: consumer(council, "QA"))
    await council.client.call(names.COUNCIL_DELETE, QA)
    assert "QA" in agent._metadata()["queues"].split(",")
    await left(agent, "QA")
    await until_async(lambda: is_gone(council, "QA"))
    asked = await council.client.ask("DEV")
    assert (await council.client.outcome(asked.task_id)).status == "COMPLETED"


@pytest.mark.usefixtures("watchful")
async def test_what_is_in_hand_when_its_queue_is_left_is_finished(system: System):
    await system.core()
    engine = Gated()
    agent = await system.agent(engine)
    asked = await system.client.ask("QA", num_agents=1)
    await until(lambda: engine.begun)
    await system.client.call(names.COUNCIL_DELETE, QA)
    await left(agent, "QA")
    engine.gate.set()
    assert (await system.client.outcome(asked.task_id)).status == "COMPLETED"


@pytest.mark.usefixtures("watchful")
async def test_a_queue_that_was_left_is_joined_again_with_its_council(council: System):
    agent = await started(council, "agent")
    await council.client.call(names.COUNCIL_DELETE, QA)
    await left(agent, "QA")
    await until_async(lambda: is_gone(council, "QA"))
    await council.client.call(names.COUNCIL_CREATE, QA | {"seats": SEATS})
    asked = await council.client.ask("QA")
    assert (await council.client.outcome(asked.task_id)).status == "COMPLETED"


async def test_the_consumer_of_a_council_made_anew_stays_without_anybody(council: System):
    await until_async(lambda: consumer(council, "QA"))
    await council.client.call(names.COUNCIL_DELETE, QA)
    assert (await consumer(council, "QA"))["inactive_threshold"] == STILL_ASKED_S * 1e9
    await council.client.call(names.COUNCIL_CREATE, QA | {"seats": SEATS})
    assert "inactive_threshold" not in await consumer(council, "QA")


async def test_a_queue_that_another_council_has_too_stays_without_anybody(council: System):
    seats = [SEATS[0] | {"queue": "QA"}]
    await council.client.call(names.COUNCIL_CREATE, {"role": "TESTERS", "seats": seats})
    await until_async(lambda: consumer(council, "QA"))
    await council.client.call(names.COUNCIL_DELETE, QA)
    assert "inactive_threshold" not in await consumer(council, "QA")
