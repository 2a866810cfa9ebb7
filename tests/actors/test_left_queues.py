"""Queues of deleted councils: served as long as they may be asked, and not for ever."""

import asyncio

import pytest

from actors.agents.agent import Agent
from actors.clock import now_ms
from actors.councils import STILL_ASKED_S
from subjects import names
from tests.actors.running import started
from tests.harness.engines import Gated
from tests.harness.events import until
from tests.harness.system import System

QA = {"role": "QA"}
ELSEWHERE = [{"id": "tester", "persona": "breaks things", "queue": "ELSEWHERE"}]
LOOK_S = 0.02


def queues_of(agent: Agent) -> list[str]:
    return agent._metadata()["queues"].split(",")


async def left(agent: Agent, queue: str) -> None:
    """Let an agent believe that much time is over, until it has left a queue."""
    agent._clock = lambda: now_ms() + int(STILL_ASKED_S * 1_000) + 1
    await until(lambda: queue not in queues_of(agent))
    agent._clock = now_ms


@pytest.fixture(autouse=True)
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents look often."""
    monkeypatch.setattr("actors.agents.agent.LOOK_S", LOOK_S)


@pytest.mark.parametrize("queues", [("*",), ("QA",)])
async def test_what_was_asked_before_is_answered_by_an_agent_that_starts_after(
    system: System, queues: tuple[str, ...]
):
    await system.core()
    asked = await system.client.ask("QA")
    await system.client.call(names.COUNCIL_DELETE, QA)
    await system.agent(queues=queues)
    assert (await system.client.outcome(asked.task_id)).status == "COMPLETED"


async def test_a_queue_is_served_while_it_may_be_asked_and_then_left(council: System):
    agent = await started(council, "agent")
    await council.client.call(names.COUNCIL_DELETE, QA)
    await asyncio.sleep(5 * LOOK_S)  # it has looked by then
    assert "QA" in queues_of(agent)
    await left(agent, "QA")
    assert len(agent._queues) == len(agent._wanted_ms) == 4
    asked = await council.client.ask("DEV")
    assert (await council.client.outcome(asked.task_id)).status == "COMPLETED"


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


async def test_a_queue_that_was_left_is_joined_again_with_its_council(council: System):
    agent = await started(council, "agent")
    await council.client.call(names.COUNCIL_DELETE, QA)
    await left(agent, "QA")
    seats = [{"id": "tester", "persona": "breaks things"}]
    await council.client.call(names.COUNCIL_CREATE, QA | {"seats": seats})
    asked = await council.client.ask("QA")
    assert (await council.client.outcome(asked.task_id)).status == "COMPLETED"


async def test_what_is_open_is_answered_though_its_council_is_made_anew_with_another_queue(
    system: System,
):
    await system.core()
    engine = Gated()
    agent = await system.agent(engine)
    asked = await system.client.ask("QA", protocol="synthesized")
    await until(lambda: len(engine.begun) == 3)
    await system.client.call(names.COUNCIL_DELETE, QA)
    await system.client.call(names.COUNCIL_CREATE, QA | {"seats": ELSEWHERE})
    await until(lambda: "ELSEWHERE" in queues_of(agent))
    await asyncio.sleep(5 * LOOK_S)  # it has looked by then
    engine.gate.set()  # the next round asks the old queue
    assert (await system.client.outcome(asked.task_id)).status == "COMPLETED"
    await left(agent, "QA")


async def test_a_council_that_was_made_while_nothing_was_heard_is_found(council: System):
    agent = await started(council, "agent")
    await agent._councils.drain()
    await council.client.call(names.COUNCIL_CREATE, {"role": "CHEF", "seats": ELSEWHERE})
    asked = await council.client.ask("CHEF")
    assert (await council.client.outcome(asked.task_id)).status == "COMPLETED"
