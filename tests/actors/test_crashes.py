"""Whoever dies at whatever moment: every accepted deliberation ends, and ends once."""

import asyncio

from actors.clock import now_ms
from actors.councils.defaults import default_councils
from actors.settings import Limits
from schemas.codec import encode
from schemas.deliberation import DeliberationRequest, Opened
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.actors.running import answers_of, started
from tests.harness.engines import Dying, Gated, Talking
from tests.harness.events import until, until_async
from tests.harness.system import System

REQUEST = DeliberationRequest(task_description="Add retries", role="DEV")


class TestAgents:
    async def test_a_dead_engine_fails_its_agent_and_another_answers(self, system: System):
        await system.core()
        engine = Dying()
        dying = await system.agent(engine, instance="agent-dying")
        task_id = (await system.client.ask(num_agents=1)).task_id
        await asyncio.wait_for(dying.failed.wait(), 10)
        await system.stop(dying)
        await system.agent(Talking(), instance="agent-2")
        result = await system.client.outcome(task_id)
        assert (result.status, result.results[0].proposal.engine) == ("COMPLETED", "talking")
        assert len(engine.begun) == 1

    async def test_what_a_stopped_agent_had_in_hand_goes_to_another(
        self, system: System, monkeypatch
    ):
        monkeypatch.setattr("actors.agents.agent.DRAIN_S", 0.1)
        engine = Gated()
        await system.core()
        first = await system.agent(engine, instance="agent-1")
        task_id = (await system.client.ask()).task_id
        await until(lambda: len(engine.begun) == 3)
        await system.stop(first)
        await system.agent(Talking(), instance="agent-2")
        assert (await system.client.outcome(task_id)).status == "COMPLETED"

    async def test_what_a_killed_agent_had_in_hand_goes_to_another(
        self, system: System, monkeypatch
    ):
        engine = Gated()
        await system.core()
        impatient(monkeypatch)
        killed = await system.agent(engine, instance="agent-1")
        task_id = (await system.client.ask()).task_id
        await until(lambda: len(engine.begun) == 3)
        await system.crash(killed)
        await system.agent(Talking(), instance="agent-2")
        result = await system.client.outcome(task_id)
        assert (result.status, len(result.results)) == ("COMPLETED", 3)

    async def test_a_long_generation_is_not_given_to_another(self, system: System, monkeypatch):
        impatient(monkeypatch)
        monkeypatch.setattr("actors.agents.agent.ACK_WAIT_S", 0.5)
        engine, idle = Gated(), Talking()
        await system.core()
        await system.agent(engine, instance="agent-1")
        task_id = (await system.client.ask()).task_id
        await until(lambda: len(engine.begun) == 3)
        await system.agent(idle, instance="agent-2")
        await asyncio.sleep(1.2)
        engine.gate.set()
        await system.client.outcome(task_id)
        assert idle.begun == []

    async def test_work_of_a_task_that_has_ended_is_dropped(self, system: System, monkeypatch):
        impatient(monkeypatch)
        engine, second = Gated(), Talking()
        await system.core()
        killed = await system.agent(engine, instance="agent-1")
        task_id = (await system.client.ask()).task_id
        await until(lambda: len(engine.begun) == 3)
        await system.crash(killed)
        await system.client.call(names.CANCEL, {"task_id": task_id})
        agent = await system.agent(second, instance="agent-2")
        await until(lambda: agent.service._data()["dropped"] == 3)
        assert second.begun == []
        assert len(system.client.outcomes[task_id]) == 1


class TestCollectors:
    async def test_a_new_collector_finishes_what_the_old_one_began(self, system: System):
        engine = Gated(frozenset({"agent-dev-003"}))
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask()).task_id

        async def two_answered() -> bool:
            return await answers_of(system, task_id) == 2

        await until_async(two_answered)
        await system.crash(await started(system, "collector"))
        engine.gate.set()
        await system.add("collector", "collector-2")
        result = await system.client.outcome(task_id)
        assert (result.status, len(result.results)) == ("COMPLETED", 3)

    async def test_what_was_answered_while_no_collector_lived_is_concluded(self, system: System):
        for kind in ("registry", "dispatcher", "responder"):
            await system.add(kind)
        await system.agent()
        task_id = (await system.client.ask()).task_id

        async def all_answered() -> bool:
            return await answers_of(system, task_id) == 3

        await until_async(all_answered)
        await system.add("collector")
        assert (await system.client.outcome(task_id)).status == "COMPLETED"

    async def test_a_deadline_that_passed_while_no_collector_lived_is_kept(self, system: System):
        for kind in ("registry", "dispatcher"):
            await system.add(kind)
        accepted = await system.client.ask(constraints={"timeout_seconds": 0.1})
        await asyncio.sleep(0.15)
        await system.add("collector")
        assert (await system.client.outcome(accepted.task_id)).status == "TIMEOUT"

    async def test_a_deadline_that_passed_longer_ago_than_any_may_last_is_kept_too(
        self, system: System
    ):
        for kind in ("registry", "dispatcher", "responder"):
            await system.add(kind)
        left = [await system.client.ask(constraints={"timeout_seconds": 0.2}) for _ in range(3)]
        await system.add("collector")
        first = [await system.client.outcome(each.task_id) for each in left]
        await system.crash(await started(system, "collector"))
        left = [await system.client.ask(constraints={"timeout_seconds": 0.2}) for _ in range(70)]
        await asyncio.sleep(0.6)
        await system.add("collector", "collector-2", Limits(max_timeout_seconds=0.3))
        first += [await system.client.outcome(each.task_id) for each in left]
        assert {result.status for result in first} == {"TIMEOUT"}
        assert len(await system.client.bus.scan(DELIBERATIONS, names.ANY_OUTCOME)) == 73

    async def test_what_ended_before_is_not_ended_again(self, council: System):
        ids = [(await council.client.ask(num_agents=1)).task_id for _ in range(5)]
        for task_id in ids:
            await council.client.outcome(task_id)
        second = await council.add("collector", "collector-2")
        counters = second.service._data()
        assert (counters["open"], counters["concluded"]) == (0, 0)

    async def test_two_of_every_actor_still_give_one_outcome_each(self, council: System):
        for kind in ("collector", "dispatcher", "responder"):
            await council.add(kind, f"{kind}-2")
        await council.agent(instance="agent-2")
        accepted = await asyncio.gather(*(council.client.ask() for _ in range(40)))
        for each in accepted:
            assert (await council.client.outcome(each.task_id)).status == "COMPLETED"
        records = await council.client.bus.scan(DELIBERATIONS, names.ANY_OUTCOME)
        assert len(records) == 40
        assert await council.client.bus.healthy()
        assert {len(each) for each in council.client.outcomes.values()} == {1}


class TestDispatchers:
    async def test_an_opening_without_its_requests_is_made_good(self, system: System):
        """As after a dispatcher that died between storing the one and the others."""
        for kind in ("registry", "collector"):
            await system.add(kind)
        await system.agent()
        dev = default_councils()[0]
        now = now_ms()
        opened = Opened(
            task_id="half-1",
            request=REQUEST,
            seats=dev.seats,
            opened_at_ms=now,
            deadline_ms=now + 30_000,
        )
        await system.client.bus.store(names.opened("half-1"), encode(opened))
        await system.add("dispatcher")
        assert (await system.client.outcome("half-1")).status == "COMPLETED"

    async def test_a_request_asked_half_is_asked_whole_and_none_twice(self, system: System):
        engine = Talking()
        await system.core()
        dispatcher = await started(system, "dispatcher")
        accepted = await system.client.ask()
        await until(lambda: dispatcher._fan_out.asked == 3)
        await system.crash(dispatcher)
        await system.client.bus.api("CONSUMER.DELETE.DELIBERATIONS.dispatcher", {})
        second = await system.add("dispatcher", "dispatcher-2")
        await until(lambda: second._fan_out.asked == 3)
        await system.agent(engine)
        await system.client.outcome(accepted.task_id)
        assert len(engine.begun) == 3

    async def test_nobody_is_asked_for_what_has_ended_before_it_is_read_anew(
        self, system: System, monkeypatch
    ):
        monkeypatch.setattr("actors.intake.fan_out.FRESH_MS", 0)
        await system.core()
        dispatcher = await started(system, "dispatcher")
        accepted = await system.client.ask()
        await system.client.call(names.CANCEL, {"task_id": accepted.task_id})
        await system.crash(dispatcher)
        await system.client.bus.api("CONSUMER.DELETE.DELIBERATIONS.dispatcher", {})
        second = await system.add("dispatcher", "dispatcher-2")
        await system.agent()
        later = await system.client.ask()
        assert (await system.client.outcome(later.task_id)).status == "COMPLETED"
        assert second._fan_out.asked == 3

    async def test_requests_wait_for_a_dispatcher_no_longer_than_it_takes(self, council: System):
        await council.crash(await started(council, "dispatcher"))
        await council.add("dispatcher", "dispatcher-2")
        accepted = await council.client.ask()
        await council.client.outcome(accepted.task_id)


def impatient(monkeypatch) -> None:
    """Give the work of a dead agent to another after half a second."""
    from msgspec.structs import replace

    from subjects.streams import agent_consumer

    monkeypatch.setattr(
        "actors.agents.agent.agent_consumer",
        lambda queue: replace(agent_consumer(queue), ack_wait_s=0.5, backoff_s=()),
    )
