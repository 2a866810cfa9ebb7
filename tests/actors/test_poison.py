"""What kills whoever takes it is given up, fails its seat alone, and nobody waits for it longer."""

import asyncio
import itertools
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.codec import decode
from subjects import names
from subjects.streams import (
    ADVISORIES,
    DEAD_LETTERS,
    DELIBERATIONS,
    ConsumerSpec,
    agent_consumer,
    dispatch_consumer,
    submission_consumer,
)
from tests.actors.conftest import SHORT
from tests.actors.letters import copies, listed, the_letter
from tests.harness.engines import Talking
from tests.harness.events import until, until_async
from tests.harness.system import System


class Lethal(Talking):
    """Takes one seat's request and falls silent, as a process does that is killed by it."""

    def __init__(self, seat: str, takes_s: float = 0.0) -> None:
        super().__init__()
        self._takes_s = takes_s
        self.struck = asyncio.Event()
        self._seat = seat

    async def speak(self, generation: Any) -> Any:
        if generation.seat == self._seat:
            self.struck.set()
            await asyncio.Event().wait()
        await asyncio.sleep(self._takes_s)
        async for delta in super().speak(generation):
            yield delta


async def without_office(system: System) -> None:
    for kind in ("registry", "dispatcher", "collector", "responder"):
        await system.add(kind)


async def advisories_read(system: System) -> None:
    """Wait until the office has seen to all that was given up."""

    async def nothing_left() -> bool:
        reply = await system.client.bus.request(
            f"$JS.API.CONSUMER.INFO.{ADVISORIES}.dead-letters", b""
        )
        info = decode(dict, reply.body)
        return info["num_pending"] == info["num_ack_pending"] == 0

    await until_async(nothing_left)


async def given_up(system: System, consumer: ConsumerSpec) -> None:
    """Take what waits, time and again, as processes do that die of it."""
    puller = await system.client.bus.pull(replace(consumer, backoff_s=SHORT))
    for attempt in range(1, 6):
        (delivery,) = await puller.fetch(1, wait=True)
        assert delivery.attempt == attempt
    await puller.close()


class TestPoison:
    @pytest.mark.usefixtures("impatient")
    async def test_a_request_that_kills_every_agent_fails_its_seat_alone(self, system: System):
        """Nobody reads the advisory meanwhile, and in the end no agent is left in that queue."""
        await without_office(system)
        await system.agent(queues=("QA",), instance="healthy")
        task_id = (await system.client.ask(constraints={"timeout_seconds": 300})).task_id
        for number in range(5):
            engine = Lethal("agent-dev-002")
            agent = await system.agent(engine, queues=("DEV",), instance=f"victim-{number}")
            await asyncio.wait_for(engine.struck.wait(), 20)
            await system.crash(agent)
        other = await system.client.ask("QA")
        assert (await system.client.outcome(other.task_id)).status == "COMPLETED"
        assert not system.client.outcomes[task_id]

        await system.add("dead-letters")
        result = await system.client.outcome(task_id)
        assert result.status == "COMPLETED"
        assert {each.proposal.author_id for each in result.results} == {
            "agent-dev-001",
            "agent-dev-003",
        }
        (failure,) = result.failures
        assert (failure.seat, failure.code) == ("agent-dev-002", "poison")
        assert result.duration_ms < 60_000
        letter = await the_letter(system)
        assert (letter["code"], letter["attempts"]) == ("poison", 5)
        assert (letter["task_id"], letter["subject"]) == (task_id, names.agent_request("DEV"))

    @pytest.mark.usefixtures("impatient")
    async def test_those_in_hand_beside_it_do_not_die_of_it(self, system: System):
        """Of its own council and of another, since one agent serves both."""
        await system.core()
        deadly = (await system.client.ask()).task_id
        harmless = (await system.client.ask("QA")).task_id
        for number in itertools.count():
            engine = Lethal("agent-dev-002", takes_s=0.2)
            agent = await system.agent(engine, instance=f"victim-{number}")
            if number < 2:
                await until(lambda seen=engine.begun: len(seen) == 6)
            await until(lambda it=engine: it.struck.is_set() or system.client.outcomes[deadly])
            if not engine.struck.is_set():
                break
            await system.crash(agent)
        result = await system.client.outcome(deadly)
        assert [(each.seat, each.code) for each in result.failures] == [("agent-dev-002", "poison")]
        assert (await system.client.outcome(harmless)).failures == ()

    @pytest.mark.usefixtures("impatient")
    async def test_what_somebody_ends_on_purpose_fails_its_seat_at_once(self, system: System):
        await system.core()
        task_id = (await system.client.ask(num_agents=1)).task_id
        puller = await system.client.bus.pull(agent_consumer("DEV"))
        (delivery,) = await puller.fetch(1, wait=True)
        await delivery.term()
        result = await system.client.outcome(task_id)
        assert (result.status, result.failures[0].code) == ("FAILED", "terminated")
        assert (await the_letter(system))["code"] == "terminated"
        await puller.close()

    @pytest.mark.usefixtures("impatient")
    async def test_an_opening_that_no_dispatcher_survives_ends_as_failed(self, system: System):
        for kind in ("registry", "collector", "dead-letters"):
            await system.add(kind)
        dispatcher = await system.add("dispatcher")
        await dispatcher._loops.cancel()  # it accepts, and does not fan out
        task_id = (await system.client.ask()).task_id
        await given_up(system, dispatch_consumer())
        result = await system.client.outcome(task_id)
        assert (result.status, len(result.failures)) == ("FAILED", 3)
        assert "5 attempts" in result.reason
        assert (await the_letter(system))["subject"] == names.opened(task_id)

    @pytest.mark.usefixtures("impatient")
    async def test_a_submission_that_no_dispatcher_survives_ends_as_failed(self, system: System):
        for kind in ("registry", "collector", "dead-letters"):
            await system.add(kind)
        await system.client.bus.store(names.submission("deadly"), b'{"role": "DEV"}')
        await given_up(system, submission_consumer())
        result = await system.client.outcome("deadly")
        assert (result.status, result.role, result.refused.code) == ("FAILED", "DEV", "internal")

    @pytest.mark.usefixtures("impatient")
    async def test_an_advisory_read_twice_changes_nothing(self, system: System):
        await system.core()
        task_id = (await system.client.ask(num_agents=1)).task_id
        await given_up(system, agent_consumer("DEV"))
        await system.client.outcome(task_id)
        (advisory,) = await system.client.bus.scan(ADVISORIES, names.ANY_GIVEN_UP)
        await system.client.bus.store(advisory.subject, advisory.body)
        await system.client.bus.store(advisory.subject, b"nonsense")
        await advisories_read(system)
        assert await copies(system, names.agent_response(task_id)) == 1
        assert len(await system.client.bus.scan(DEAD_LETTERS, names.ANY_DEAD)) == 1

    async def test_what_a_stranger_gives_up_concerns_nobody(self, system: System):
        """Anybody may have a consumer of the same messages."""
        await system.core()
        theirs = ConsumerSpec(
            stream=DELIBERATIONS,
            durable="analytics",
            filters=(names.ANY_OPENED, names.ANY_AGENT_REQUEST),
            description="",
        )
        task_id = (await system.client.ask()).task_id
        puller = await system.client.bus.pull(theirs)
        for _ in range(4):
            (delivery,) = await puller.fetch(1, wait=True)
            await delivery.term()
        await puller.close()

        async def captured() -> bool:
            return await system.client.bus.last_sequence(ADVISORIES) == 4

        await until_async(captured)
        await advisories_read(system)
        assert await listed(system) == []
        await system.agent()
        assert (await system.client.outcome(task_id)).failures == ()

    @pytest.mark.usefixtures("impatient")
    async def test_nobody_is_failed_who_is_over_already(self, system: System):
        await system.core()
        task_id = (await system.client.ask(num_agents=1)).task_id
        await system.client.call(names.CANCEL, {"task_id": task_id})
        await given_up(system, agent_consumer("DEV"))
        await the_letter(system)
        assert await copies(system, names.agent_response(task_id)) == 0

    async def test_a_prompt_that_fits_into_no_message_fails_its_seat_at_once(self, system: System):
        await system.core()
        dispatcher = next(a for a, _ in system._running if "dispatcher" in a.service.name)
        dispatcher._fan_out._bus._nc._max_payload = 5_000
        accepted = await system.client.ask(task_description="x" * 3_400, num_agents=1)
        result = await system.client.outcome(accepted.task_id)
        assert (result.status, result.failures[0].code) == ("FAILED", "prompt_too_large")
