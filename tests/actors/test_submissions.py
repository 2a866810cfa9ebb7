"""Submission with nobody home: the stream's receipt is enough, and one outcome follows."""

import asyncio
import json

import pytest

from actors.clock import now_ms
from actors.councils import CouncilDirectory
from actors.councils.defaults import default_councils
from schemas.codec import CONTENT_TYPE, MSGPACK, encode
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.actors.submitting import ASK, letters, opened, somebody_comes, submit
from tests.harness.events import until_async
from tests.harness.system import System


async def all_read(system: System) -> None:
    """Wait until every submission is seen to."""

    async def nothing_left() -> bool:
        reply = await system.client.bus.request(
            f"$JS.API.CONSUMER.INFO.{DELIBERATIONS}.submissions", b""
        )
        info = json.loads(reply.body)
        return info["num_pending"] == info["num_ack_pending"] == 0

    await until_async(nothing_left)


class TestNobodyHome:
    async def test_a_submission_is_kept_until_somebody_comes(self, system: System):
        before = now_ms()
        await submit(system, "mine")
        submitted = now_ms()
        await asyncio.sleep(0.3)
        await somebody_comes(system)
        result = await system.client.outcome("mine")
        assert (result.status, len(result.results)) == ("COMPLETED", 1)
        assert before <= result.created_at_ms <= submitted
        assert result.deadline_ms == result.created_at_ms + 300_000
        assert result.duration_ms >= 300
        (summary,) = (await system.client.call(names.LIST)).body["deliberations"]
        assert (summary["task_id"], summary["status"]) == ("mine", "COMPLETED")

    async def test_it_is_not_taken_before_all_the_first_councils_are_there(
        self, system: System, monkeypatch: pytest.MonkeyPatch
    ):
        """Each try would be one of the few that a message has, and bring a longer wait."""
        first = default_councils()[-1]
        await system.client.bus.store(names.council_stored(first.role), encode(first))
        looked = asyncio.Event()

        async def look(directory: CouncilDirectory) -> None:
            await refresh(directory)
            looked.set()

        refresh = CouncilDirectory.refresh
        await system.add("dispatcher")
        await submit(system, "early")
        monkeypatch.setattr(CouncilDirectory, "refresh", look)
        await looked.wait()
        info = await system.client.bus.api(f"CONSUMER.INFO.{DELIBERATIONS}.submissions", {})
        assert (info.num_pending, info.delivered.consumer_seq) == (1, 0)
        for kind in ("registry", "collector", "responder"):
            await system.add(kind)
        await system.agent()
        assert (await system.client.outcome("early")).status == "COMPLETED"

    async def test_a_submission_can_be_asked_for_before_it_is_opened(self, system: System):
        for kind in ("registry", "responder"):
            await system.add(kind)
        await submit(system, "mine", ASK | {"constraints": {"timeout_seconds": 60}})
        known = await system.client.get("mine")
        assert (known.status, known.role, known.protocol) == ("PENDING", "DEV", "independent")
        assert known.deadline_ms == known.created_at_ms + 60_000
        waiting = asyncio.create_task(
            system.client.call(names.WAIT, {"task_id": "mine", "timeout_seconds": 20})
        )
        for kind in ("dispatcher", "collector"):
            await system.add(kind)
        await system.agent()
        assert (await waiting).body["status"] == "COMPLETED"

    async def test_one_whose_deadline_passed_meanwhile_ends_as_timeout_at_once(
        self, system: System
    ):
        await submit(system, "late", ASK | {"constraints": {"timeout_seconds": 0.05}})
        await asyncio.sleep(0.1)
        await somebody_comes(system)
        result = await system.client.outcome("late")
        assert (result.status, result.failures[0].code) == ("TIMEOUT", "timeout")

    async def test_a_seat_has_its_time_from_when_it_is_asked(self, system: System):
        limits = {"timeout_seconds": 60, "seat_timeout_seconds": 1.0}
        await submit(system, "mine", ASK | {"constraints": limits})
        await asyncio.sleep(1.1)
        await somebody_comes(system)
        assert (await system.client.outcome("mine")).status == "COMPLETED"

    async def test_many_wait_and_each_ends_once(self, system: System):
        for number in range(100):
            await submit(system, f"t-{number}")
        for number in range(2):
            await system.add("dispatcher", f"dispatcher-{number}")
        for kind in ("registry", "collector"):
            await system.add(kind)
        await system.agent()
        for number in range(100):
            assert (await system.client.outcome(f"t-{number}")).status == "COMPLETED"
        assert await opened(system) == 100


class TestOnce:
    async def test_the_same_submission_again_changes_nothing(self, home: System):
        for _ in range(3):
            await submit(home, "mine")
        await submit(home, "mine", ASK | {"task_id": "mine"})
        await home.client.outcome("mine")
        await submit(home, "mine")
        await all_read(home)
        assert await opened(home) == 1
        assert await letters(home) == []
        assert len(home.client.outcomes["mine"]) == 1

    async def test_another_under_the_same_id_is_a_dead_letter(self, home: System):
        await submit(home, "mine")
        other = await submit(home, "mine", ASK | {"task_description": "Something else"})
        await all_read(home)
        (letter,) = await letters(home)
        assert (letter["id"], letter["code"], letter["task_id"]) == (
            other["seq"],
            "conflict",
            "mine",
        )
        assert (await home.client.outcome("mine")).status == "COMPLETED"

    async def test_one_that_can_no_longer_be_opened_is_still_known_as_the_same(self, home: System):
        body = ASK | {"response_schema": {"type": "object"}}
        await submit(home, "mine", body)
        await home.client.outcome("mine")
        await home.client.call(names.COUNCIL_DELETE, {"role": "DEV"})
        await submit(home, "mine", body)
        await all_read(home)
        assert await letters(home) == []

    async def test_submitted_and_requested_at_once_is_one_deliberation(self, home: System):
        for number in range(20):
            task_id = f"t-{number}"
            _, reply = await asyncio.gather(
                submit(home, task_id),
                home.client.call(names.REQUEST, ASK | {"task_id": task_id}),
            )
            assert reply.error is None, reply.error
            assert (await home.client.outcome(task_id)).status == "COMPLETED"
        await all_read(home)
        assert await opened(home) == 20
        assert await letters(home) == []

    async def test_a_crash_between_opening_and_acknowledging_opens_once(self, home: System):
        await submit(home, "mine")
        await home.client.outcome("mine")
        await home.client.bus.api(f"CONSUMER.DELETE.{DELIBERATIONS}.submissions", {})

        async def joined_anew() -> bool:
            reply = await home.client.bus.request(
                f"$JS.API.CONSUMER.INFO.{DELIBERATIONS}.submissions", b""
            )
            return json.loads(reply.body).get("ack_floor", {}).get("consumer_seq") == 1

        await until_async(joined_anew)
        assert await opened(home) == 1
        assert await letters(home) == []

    async def test_message_pack_is_understood(self, home: System):
        await submit(home, "mine", encode(ASK, MSGPACK), **{CONTENT_TYPE: MSGPACK})
        assert (await home.client.outcome("mine")).status == "COMPLETED"

    async def test_a_submission_can_be_cancelled(self, system: System):
        await system.core()
        await submit(system, "mine")

        async def is_opened() -> bool:
            return await opened(system) == 1

        await until_async(is_opened)
        reply = await system.client.call(names.CANCEL, {"task_id": "mine"})
        assert reply.body["status"] == "CANCELLED"
