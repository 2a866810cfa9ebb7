"""What cannot be processed is set aside with reason and origin, and can be sent anew or dropped."""

import asyncio
from typing import Any

import pytest

from actors import dead_letters
from actors.dead_letters.dead_letter_office import DeadLetterOffice
from schemas.agent import AgentRequest
from schemas.codec import decode
from subjects import names
from subjects.streams import DELIBERATIONS, agent_consumer
from tests.actors.letters import copies, listed, the_letter
from tests.harness.engines import Talking
from tests.harness.events import until, until_async
from tests.harness.system import System

BAD = names.agent_request("NOBODY")


class TestLetters:
    async def test_a_letter_tells_all_of_the_message(self, council: System):
        bus = council.client.bus
        stored = await bus.store(
            names.agent_request("DEV"), b"nope\xff", headers={"X-From": "a\u00e9"}
        )
        letter = await the_letter(council)
        assert letter["id"] == stored.sequence
        assert letter["state"] == "dead"
        assert "body" not in letter
        whole = (await council.client.call(names.DEAD_GET, {"id": stored.sequence})).body
        assert whole["body_base64"] == "bm9wZf8="
        assert whole["headers"]["X-From"] == "a\u00e9"
        assert (whole["size"], whole["attempts"], whole["code"]) == (5, 1, "bad_message")
        assert whole["reason"]
        assert whole["died_at_ms"] >= whole["stored_at_ms"] > 0

    async def test_letters_come_in_pages_by_task_and_state(self, council: System):
        bus = council.client.bus
        for number in range(5):
            await bus.store(names.agent_response(f"t-{number % 2}"), b"nope")

        async def all_there() -> bool:
            return len(await listed(council)) == 5

        await until_async(all_there)
        first = (await council.client.call(names.DEAD_LIST, {"limit": 3})).body
        rest = (await council.client.call(names.DEAD_LIST, {"cursor": first["cursor"]})).body
        ids = [letter["id"] for letter in first["letters"] + rest["letters"]]
        assert ids == sorted(set(ids))
        assert (len(ids), rest["cursor"]) == (5, None)
        assert len(await listed(council, task_id="t-1")) == 2
        await council.client.call(names.DEAD_DROP, {"id": ids[0]})
        assert len(await listed(council)) == 4
        assert len(await listed(council, state="dropped")) == 1
        assert len(await listed(council, state=None)) == 5

    async def test_a_dropped_letter_stays_dropped(self, council: System):
        bus = council.client.bus
        stored = await bus.store(names.agent_response("t"), b"nope")
        await the_letter(council)
        dropped = await council.client.call(names.DEAD_DROP, {"id": stored.sequence})
        assert dropped.body["state"] == "dropped"
        again = await council.client.call(names.DEAD_DROP, {"id": stored.sequence})
        assert again.body == dropped.body
        await council.add("collector", "collector-2")  # comes across the message anew
        (record,) = await bus.scan(DELIBERATIONS, names.agent_response("t"))
        await dead_letters.set_aside(bus, record, "again")
        assert await listed(council) == []
        reply = await council.client.call(names.DEAD_RETRY, {"id": stored.sequence})
        assert reply.code == "conflict"

    @pytest.mark.parametrize("subject", [names.DEAD_GET, names.DEAD_RETRY, names.DEAD_DROP])
    async def test_a_letter_that_is_not_there_is_refused(self, council: System, subject: str):
        reply = await council.client.call(subject, {"id": 7})
        assert (reply.code, reply.error["path"]) == ("unknown_letter", "$.id")
        assert (await council.client.call(subject, {"id": 0})).code == "bad_message"

    async def test_a_message_too_large_for_a_letter_is_cut_there_and_sent_whole(self, make_server):
        server = make_server(accounts=1, max_payload=70_000)
        system = await System.connected(server.account())
        await system.core()
        body = b"\x00" + b"x" * 65_000
        stored = await system.client.bus.store(names.agent_response("t"), body)
        await the_letter(system)
        whole = (await system.client.call(names.DEAD_GET, {"id": stored.sequence})).body
        assert (whole["truncated"], whole["size"]) == (True, 65_001)
        reply = await system.client.call(names.DEAD_RETRY, {"id": stored.sequence})
        assert reply.error is None, reply.error
        sent = (await system.client.bus.scan(DELIBERATIONS, names.agent_response("t")))[-1]
        assert (sent.sequence, sent.body) == (reply.body["retried_as"], body)
        await system.close()


class TestRetry:
    async def dead(self, system: System) -> int:
        stored = await system.client.bus.store(BAD, b"nope", headers={"X-From": "me"})
        (record,) = await system.client.bus.scan(DELIBERATIONS, BAD)
        await dead_letters.set_aside(system.client.bus, record, "a test")
        return stored.sequence

    async def retry(self, system: System, letter: int) -> dict[str, Any]:
        reply = await system.client.call(names.DEAD_RETRY, {"id": letter})
        assert reply.error is None, reply.error
        return reply.body

    @pytest.mark.usefixtures("impatient")
    async def test_a_seat_is_asked_again_when_its_letter_is_retried(self, system: System):
        """As when the fault is mended while the deliberation still waits for another seat."""
        await system.core()
        task_id = (await system.client.ask(num_agents=2)).task_id
        puller = await system.client.bus.pull(agent_consumer("DEV"))
        first = (await puller.fetch(1, wait=True))[0]
        asked = decode(AgentRequest, first.record.body)
        await dead_letters.set_aside(system.client.bus, first.record, "a test")
        await first.ack()
        await puller.close()
        engine = Talking()
        await system.agent(engine)
        await until(lambda: len(engine.begun) == 1)
        await self.retry(system, first.record.sequence)
        result = await system.client.outcome(task_id)
        assert (result.status, len(result.results)) == ("COMPLETED", 2)
        assert asked.seat in {each.proposal.author_id for each in result.results}

    async def test_a_retry_sends_the_message_once_however_often_it_is_asked_for(
        self, system: System
    ):
        for number in range(2):
            await system.add("dead-letters", f"office-{number}")
        letter = await self.dead(system)
        told = await asyncio.gather(*(self.retry(system, letter) for _ in range(8)))
        assert len({each["retried_as"] for each in told}) == 1
        assert {each["state"] for each in told} == {"retried"}
        first, second = await system.client.bus.scan(DELIBERATIONS, BAD)
        assert (second.body, second.headers["X-From"]) == (first.body, "me")
        assert second.sequence == told[0]["retried_as"]
        assert second.headers["Nats-Msg-Id"] == f"retry.{letter}"
        assert await listed(system) == []

    async def test_a_retry_that_was_cut_short_is_taken_up(self, system: System):
        office: DeadLetterOffice = await system.add("dead-letters")
        letter = await self.dead(system)
        await office._retry._claim(await office._retry.find(letter))
        (claimed,) = await listed(system, state="retrying")
        assert claimed["id"] == letter
        await self.retry(system, letter)
        assert await copies(system, BAD) == 2

    async def test_one_cut_short_after_sending_does_not_send_again_beyond_the_window(
        self, system: System
    ):
        bus = system.client.bus
        office: DeadLetterOffice = await system.add("dead-letters")
        letter = await self.dead(system)
        await office._retry._claim(await office._retry.find(letter))
        sent = await bus.store(BAD, b"nope", message_id=f"retry.{letter}")
        info = decode(dict, (await bus.request(f"$JS.API.STREAM.INFO.{DELIBERATIONS}", b"")).body)
        config = info["config"] | {"duplicate_window": 100_000_000}
        await bus.api(f"STREAM.UPDATE.{DELIBERATIONS}", config)
        await asyncio.sleep(0.3)
        assert (await self.retry(system, letter))["retried_as"] == sent.sequence
        assert await copies(system, BAD) == 2

    async def test_what_is_stored_once_is_not_sent_again(self, council: System):
        await council.client.bus.store(names.opened("garbage"), b"nope")
        letter = await the_letter(council)
        reply = await council.client.call(names.DEAD_RETRY, {"id": letter["id"]})
        assert reply.code == "bad_request"
        assert await listed(council) == [letter]
