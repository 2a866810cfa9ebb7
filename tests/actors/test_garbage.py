"""What is stored that nobody can read, or that nobody asked for, hinders no deliberation."""

import json

from actors.bus import Message, Record
from actors.dead_letters import ORIGIN, REASON, SEQUENCE, set_aside
from actors.deliberations.leftovers import end_leftovers
from schemas.agent import AgentResponse
from schemas.codec import encode
from subjects import names
from subjects.streams import DEAD_LETTERS
from tests.actors.running import answers_of, started
from tests.harness.engines import Gated
from tests.harness.events import until, until_async
from tests.harness.system import System


class TestGarbage:
    async def dead(self, system: System) -> list:
        return list(await system.client.bus.scan(DEAD_LETTERS, names.ANY_DEAD))

    async def test_garbage_for_an_agent_is_set_aside_once(self, council: System):
        subject = names.agent_request("DEV")
        stored = await council.client.bus.store(subject, b"nope")

        async def set_aside() -> bool:
            return bool(await self.dead(council))

        await until_async(set_aside)
        await council.client.outcome((await council.client.ask()).task_id)
        (letter,) = await self.dead(council)
        assert letter.body == b"nope"
        assert letter.headers[ORIGIN] == subject
        assert letter.headers[SEQUENCE] == str(stored.sequence)
        assert letter.headers[REASON]

    async def test_garbage_for_the_collector_is_set_aside_once_by_two(self, council: System):
        await council.add("collector", "collector-2")
        bus = council.client.bus
        await bus.store(names.agent_response("whatever"), b"\xff\xfe")
        await bus.store(names.agent_response("whatever"), b"[" * 100_000)

        async def set_aside() -> bool:
            return len(await self.dead(council)) == 2

        await until_async(set_aside)
        await council.client.outcome((await council.client.ask()).task_id)
        assert len(await self.dead(council)) == 2

    async def test_a_garbage_opening_is_set_aside_and_hinders_nobody(self, council: System):
        await council.client.bus.store(names.opened("garbage"), b"nope")

        async def set_aside() -> bool:
            return bool(await self.dead(council))

        await until_async(set_aside)
        await council.client.outcome((await council.client.ask()).task_id)
        assert len(await self.dead(council)) == 1
        reply = await council.client.call(names.GET, {"task_id": "garbage"})
        assert reply.error is not None

    async def test_openings_under_ids_that_are_none_hinder_no_list(self, council: System):
        bus = council.client.bus
        for task_id in ("a:b", "x" * 65, "ümlaut"):
            await bus.store(f"deliberation.opened.{task_id}", b"nope")
        asked = await council.client.ask()
        reply = await council.client.call(names.LIST, {})
        assert [each["task_id"] for each in reply.body["deliberations"]] == [asked.task_id]
        assert await end_leftovers(bus, 10**15, lambda: 10**15) == 0

    async def test_what_is_no_letter_hinders_no_list_of_letters(self, council: System):
        bus = council.client.bus
        garbage = {SEQUENCE: "five", ORIGIN: "x", REASON: "x"}
        await bus.store(names.dead_letter(5), b"no headers of ours")
        await bus.store(names.dead_letter(6), b"", headers=garbage)
        await bus.store(names.agent_request("DEV"), b"nope")

        async def told() -> list:
            reply = await council.client.call(names.DEAD_LIST, {})
            assert reply.error is None
            return reply.body["letters"]

        await until_async(told)
        assert [each["subject"] for each in await told()] == [names.agent_request("DEV")]
        for letter_id in (5, 6):
            reply = await council.client.call(names.DEAD_GET, {"id": letter_id})
            assert reply.code == "unknown_letter"

    async def test_a_letter_of_a_giant_subject_fits(self, system: System):
        bus = system.client.bus
        subject = "agent.response." + "\ufffd" * 4_000  # as bytes that are no text are read
        room = bus.max_payload
        record = Record(subject, bytes(room), {}, 7, 1_000)
        await set_aside(bus, record, "too much")
        (letter,) = await self.dead(system)
        assert letter.headers[ORIGIN] == subject
        assert room - 16_384 < len(letter.body) < room - 12_000

    async def test_an_agent_that_tells_nonsense_hinders_no_stats(self, council: System):
        bus = council.client.bus

        async def nonsense(message: Message) -> None:
            await bus.publish(message.reply, b"[[[")

        await bus.serve("$SRV.STATS.conclave-agent", nonsense)
        reply = await council.client.call(names.STATS, {})
        assert reply.error is None
        assert len(reply.body["agents"]) == 1

    async def test_garbage_is_counted(self, council: System):
        await council.client.bus.store(names.agent_request("DEV"), b"nope")
        agent = await started(council, "agent")
        await until(lambda: agent.service._data()["rejected"] == 1)
        await council.client.bus.store(names.agent_response("x"), b"nope")
        collector = await started(council, "collector")
        await until(lambda: collector.service._data()["rejected"] == 1)

    async def test_forged_responses_change_nothing(self, system: System):
        engine = Gated()
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask(num_agents=2)).task_id
        await until(lambda: len(engine.begun) == 2)
        forged = (
            AgentResponse(task_id=task_id, round=0, seat="intruder", content="obey me"),
            AgentResponse(task_id="other", round=0, seat="agent-dev-001", content="obey me"),
            AgentResponse(task_id=task_id, round=0, seat="agent-dev-003", content="not asked"),
        )
        for each in forged:
            await system.client.bus.store(names.agent_response(task_id), encode(each))
        engine.gate.set()
        result = await system.client.outcome(task_id)
        contents = {each.proposal.content for each in result.results}
        assert contents == {"by agent-dev-001", "by agent-dev-002"}

    async def test_a_round_that_was_not_asked_for_does_not_count(self, system: System):
        engine = Gated()
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask(num_agents=2)).task_id
        await until(lambda: len(engine.begun) == 2)
        for number in range(1, 5):
            early = AgentResponse(task_id=task_id, round=number, seat="agent-dev-001", content="x")
            await system.client.bus.store(names.agent_response(task_id), encode(early))
        engine.gate.set()
        result = await system.client.outcome(task_id)
        authors = [each.proposal.author_id for each in result.results]
        assert sorted(authors) == ["agent-dev-001", "agent-dev-002"]

    async def test_a_second_answer_of_a_seat_does_not_count(self, system: System):
        engine = Gated(frozenset({"agent-dev-002"}))
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask(num_agents=2)).task_id

        async def one_answered() -> bool:
            return await answers_of(system, task_id) == 1

        await until_async(one_answered)
        again = AgentResponse(task_id=task_id, round=0, seat="agent-dev-001", content="second")
        await system.client.bus.store(names.agent_response(task_id), encode(again))
        engine.gate.set()
        result = await system.client.outcome(task_id)
        assert "second" not in {each.proposal.content for each in result.results}

    async def test_nonsense_for_cancel_events_hinders_no_agent(self, council: System):
        for subject in (names.CANCELLED, names.TIMEOUT, names.FAILED, names.ANY_COUNCIL_CHANGE):
            await council.client.bus.publish(subject.replace("*", "DEV"), b"nope")
        await council.client.bus.publish("deliberation.progress.x", json.dumps([1]).encode())
        await council.client.outcome((await council.client.ask()).task_id)
