"""Overload: a council takes in what it can, and says no to the rest in time."""

import asyncio
from typing import Any

import pytest

from actors.settings import Limits
from schemas.errors import RETRY_AFTER_HEADER
from subjects import names
from tests.harness.engines import Gated
from tests.harness.events import until, until_async
from tests.harness.system import Reply, System

LIMITS = Limits(max_backlog=3)
ASK = {
    "task_description": "Add retries",
    "role": "DEV",
    "protocol": "independent",
    "num_agents": 1,
}


class Full:
    """A council whose bound is reached; its seats speak when the gate opens."""

    def __init__(self, system: System, engine: Gated, ids: list[str]) -> None:
        self.system = system
        self.engine = engine
        self.ids = ids

    async def ask(self, **more: Any) -> Reply:
        return await self.system.client.call(names.REQUEST, ASK | more)

    async def told(self, dispatcher: Any) -> None:
        """Wait until a dispatcher that opened nothing knows what is open."""
        await until(lambda: dispatcher._admission.backlog("DEV") == 3)

    async def release(self) -> None:
        self.engine.gate.set()
        for task_id in self.ids:
            assert (await self.system.client.outcome(task_id)).status == "COMPLETED"


@pytest.fixture
async def full(system: System) -> Full:
    engine = Gated()
    await system.core(LIMITS)
    await system.agent(engine)
    ids = [(await system.client.ask(num_agents=1, task_id=f"t-{n}")).task_id for n in range(3)]
    return Full(system, engine, ids)


def dispatcher_of(system: System) -> Any:
    return next(actor for actor, _ in system._running if "dispatcher" in actor.service.name)


async def test_one_more_is_refused_and_told_when_to_come_again(full: Full):
    reply = await full.ask()
    assert (reply.code, reply.error["path"]) == ("overloaded", "$.role")
    assert reply.headers["Nats-Service-Error-Code"] == "429"
    assert reply.error["retry_after_ms"] > 0
    assert reply.headers[RETRY_AFTER_HEADER] == str(reply.error["retry_after_ms"])
    await full.release()


async def test_other_councils_are_as_open_as_before(full: Full):
    assert (await full.ask(role="QA")).error is None
    assert (await full.ask()).code == "overloaded"


async def test_there_is_room_again_when_something_ended(full: Full):
    assert (await full.ask()).code == "overloaded"
    await full.release()

    async def accepted() -> bool:
        return (await full.ask()).error is None

    await until_async(accepted)


async def test_what_was_accepted_is_accepted_when_asked_again(full: Full):
    reply = await full.ask(task_id="t-1", task_description="Add retries to the billing client")
    assert reply.error is None, reply.error
    assert reply.body["duplicate"] is True
    assert (await full.ask(task_id="t-1")).code == "conflict"
    assert (await full.ask(task_id="new")).code == "overloaded"


async def test_a_new_dispatcher_knows_what_is_open(full: Full):
    await full.system.stop(dispatcher_of(full.system))
    dispatcher = await full.system.add("dispatcher", "dispatcher-2", LIMITS)
    await full.told(dispatcher)
    assert (await full.ask()).code == "overloaded"
    await full.release()


async def test_two_dispatchers_keep_one_bound(full: Full):
    second = await full.system.add("dispatcher", "dispatcher-2", LIMITS)
    await full.told(second)
    replies = await asyncio.gather(*(full.ask() for _ in range(20)))
    assert {reply.code for reply in replies} == {"overloaded"}


async def test_without_a_collector_no_more_is_taken_in_than_the_bound(system: System):
    for kind in ("registry", "dispatcher"):
        await system.add(kind, limits=LIMITS)
    replies = [await system.client.call(names.REQUEST, ASK) for _ in range(5)]
    assert [reply.error is None for reply in replies] == [True, True, True, False, False]


async def test_a_new_collector_tells_what_is_open(full: Full):
    collector = next(a for a, _ in full.system._running if "collector" in a.service.name)
    await full.system.crash(collector)
    await full.system.stop(dispatcher_of(full.system))
    dispatcher = await full.system.add("dispatcher", "dispatcher-2", LIMITS)
    assert dispatcher._admission.backlog("DEV") == 0
    await full.system.add("collector", "collector-2")
    await full.told(dispatcher)
    assert (await full.ask()).code == "overloaded"


async def test_a_submission_is_taken_in_all_the_same_and_waits(full: Full):
    task_id = "patient"
    await full.system.client.bus.request(
        names.submission(task_id), b'{"task_description": "x", "role": "DEV"}'
    )

    async def is_known() -> bool:
        return (await full.system.client.get(task_id)).status != "COMPLETED"

    await until_async(is_known)
    await full.release()
    assert (await full.system.client.outcome(task_id)).status == "COMPLETED"


async def test_who_was_refused_is_counted(full: Full):
    for _ in range(3):
        await full.ask()
    (stats,) = await full.system.client.discovered("STATS", "conclave-dispatcher")
    assert stats["data"]["shed"] == 3
