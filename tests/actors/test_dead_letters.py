"""What cannot be processed is set aside with reason and origin, and nobody waits for it longer."""

import asyncio
import itertools
from typing import Any

import pytest
from msgspec.structs import replace

from actors import dead_letters
from actors.dead_letters.dead_letter_office import DeadLetterOffice
from schemas.agent import AgentRequest
from schemas.codec import decode, encode
from schemas.deliberation import Opened
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
from tests.harness.engines import Talking
from tests.harness.events import until, until_async
from tests.harness.system import System

BAD = names.agent_request("NOBODY")
SHORT = (0.3, 0.3, 0.3, 0.3, 0.3)


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other soon, and deserted queues are looked at often."""

    def hurried(spec: ConsumerSpec) -> ConsumerSpec:
        return replace(spec, backoff_s=SHORT)

    monkeypatch.setattr(
        "actors.agents.agent.agent_consumer", lambda queue: hurried(agent_consumer(queue))
    )
    monkeypatch.setattr(
        "actors.intake.fan_out.dispatch_consumer", lambda: hurried(dispatch_consumer())
    )
    monkeypatch.setattr(
        "actors.intake.submissions.submission_consumer", lambda: hurried(submission_consumer())
    )
    monkeypatch.setattr("actors.dead_letters.dead_letter_office.SWEEP_S", 0.1)


async def without_office(system: System) -> None:
    for kind in ("registry", "dispatcher", "collector", "responder"):
        await system.add(kind)


async def listed(system: System, **query: Any) -> list[dict[str, Any]]:
    reply = await system.client.call(names.DEAD_LIST, query)
    assert reply.error is None, reply.error
    return reply.body["letters"]


async def the_letter(system: System, **query: Any) -> dict[str, Any]:
    """The only letter there is, once it is there."""

    async def there() -> bool:
        return bool(await listed(system, **query))

    await until_async(there)
    (letter,) = await listed(system, **query)
    return letter


async def copies(system: System, subject: str) -> int:
    return len(await system.client.bus.scan(DELIBERATIONS, subject))


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


def test_the_parts_of_a_refused_opening_survive_the_wire():
    from actors.intake.opening import Birth, refused
    from schemas.errors import Refused

    birth = Birth(task_id="t", secret="", now_ms=5, submitted_at_ms=3)
    made = refused(b"\xff \0", None, Refused("bad_message", "no"), birth)
    again = decode(Opened, encode(made))
    assert again == made
    assert (again.asked_at_ms, again.request.role, again.seats) == (3, "none", ())
