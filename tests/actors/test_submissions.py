"""Submission with nobody home: the stream's receipt is enough, and one outcome follows."""

import asyncio
import json
from typing import Any, get_args

import pytest

from actors.clock import now_ms
from actors.councils import CouncilDirectory
from actors.councils.defaults import default_councils
from schemas.codec import CONTENT_TYPE, MSGPACK, encode
from schemas.deliberation import ProtocolName
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.harness.events import until_async
from tests.harness.system import System

ASK: dict[str, Any] = {
    "task_description": "Add retries",
    "role": "DEV",
    "protocol": "independent",
    "num_agents": 1,
}


async def submit(system: System, task_id: str, body: Any = ASK, **headers: str) -> dict[str, Any]:
    """As `nats req deliberation.submit.<task_id>` does; return the server's receipt."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await system.client.bus.request(f"deliberation.submit.{task_id}", raw, headers)
    receipt = json.loads(reply.body)
    assert receipt["stream"] == DELIBERATIONS
    assert receipt["seq"] > 0
    return receipt


async def letters(system: System) -> list[dict[str, Any]]:
    return (await system.client.call(names.DEAD_LIST)).body["letters"]


async def opened(system: System) -> int:
    return len(await system.client.bus.scan(DELIBERATIONS, names.ANY_OPENED))


async def all_read(system: System) -> None:
    """Wait until every submission is seen to."""

    async def nothing_left() -> bool:
        reply = await system.client.bus.request(
            f"$JS.API.CONSUMER.INFO.{DELIBERATIONS}.submissions", b""
        )
        info = json.loads(reply.body)
        return info["num_pending"] == info["num_ack_pending"] == 0

    await until_async(nothing_left)


@pytest.fixture
async def home(council: System) -> System:
    """Everybody is there."""
    return council


async def somebody_comes(system: System) -> None:
    await system.core()
    await system.agent()


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


BAD: dict[str, tuple[bytes | dict[str, Any], str, str]] = {
    "no JSON": (b"nope", "bad_message", "$"),
    "nothing": (b"", "bad_message", "$"),
    "half of JSON": (b'{"role": "DEV"', "bad_message", "$"),
    "zero bytes": (b"\0" * 10, "bad_message", "$"),
    "invalid UTF-8": (b"\xff\xfe", "bad_message", "$"),
    "deep nesting": (b"[" * 100_000, "bad_message", "$"),
    "no task": ({"role": "DEV"}, "bad_message", "$.task_description"),
    "an unknown field": (ASK | {"colour": "red"}, "bad_message", "$.colour"),
    "an unknown role": (ASK | {"role": "CHEF"}, "unknown_role", "$.role"),
    "another id in the body": (ASK | {"task_id": "yours"}, "bad_message", "$.task_id"),
    "too many agents": (ASK | {"num_agents": 9}, "too_many_agents", "$.num_agents"),
    "too long a time": (
        ASK | {"constraints": {"timeout_seconds": 3601}},
        "bad_message",
        "$.constraints.timeout_seconds",
    ),
    "2 MB": (ASK | {"context": "x" * 2_000_000}, "too_large", "$"),
    "a large schema": (
        ASK | {"response_schema": {"a": "x" * 20_000}},
        "bad_request",
        "$.response_schema",
    ),
}


class TestRefusal:
    @pytest.mark.parametrize("name", BAD)
    async def test_one_ends_as_failed_with_the_reason_for(self, home: System, name: str):
        body, code, path = BAD[name]
        await submit(home, "mine", body)
        result = await home.client.outcome("mine")
        assert result.status == "FAILED"
        assert result.refused is not None
        assert (result.refused.code, result.refused.path) == (code, path)
        assert result.reason.startswith(f"{code}: ")
        assert (result.results, result.seats) == ((), ())
        assert (await home.client.get("mine")).refused == result.refused
        (summary,) = (await home.client.call(names.LIST)).body["deliberations"]
        assert summary["status"] == "FAILED"
        await submit(home, "next")
        assert (await home.client.outcome("next")).status == "COMPLETED"

    async def test_one_that_fits_into_the_server_and_not_into_an_opening(self, make_server):
        server = make_server(accounts=1, max_payload=70_000)
        home = await System.connected(server.account())
        await somebody_comes(home)
        for role in ("DEV", "CHEF"):
            await submit(home, role, ASK | {"role": role, "context": "x" * 68_700})
            result = await home.client.outcome(role)
            assert (result.status, result.role, result.refused.code) == (
                "FAILED",
                role,
                "too_large",
            )
        await home.close()

    async def test_a_format_or_version_that_is_not_spoken(self, home: System):
        await submit(home, "xml", ASK, **{CONTENT_TYPE: "text/xml"})
        assert (await home.client.outcome("xml")).refused.code == "bad_message"
        await submit(home, "old", ASK, **{"Conclave-Schema": "99.0"})
        assert (await home.client.outcome("old")).refused.code == "unsupported_version"

    async def test_a_request_under_the_id_of_a_refused_submission(self, home: System):
        await submit(home, "mine", ASK | {"role": "CHEF"})
        await home.client.outcome("mine")
        reply = await home.client.call(names.REQUEST, ASK | {"task_id": "mine"})
        assert reply.code == "conflict"
        again = ASK | {"role": "CHEF", "task_id": "mine"}
        assert (await home.client.call(names.REQUEST, again)).code == "unknown_role"

    @pytest.mark.parametrize("protocol", get_args(ProtocolName))
    async def test_whatever_its_protocol(self, home: System, protocol: str):
        await submit(home, "mine", ASK | {"role": "CHEF", "protocol": protocol, "samples": None})
        assert (await home.client.outcome("mine")).refused.code == "unknown_role"
        assert (await home.client.get("mine")).protocol == protocol
        recounted = await home.client.call(names.RECOUNT, {"task_id": "mine"})
        assert recounted.error is None or recounted.code == "bad_request"

    @pytest.mark.parametrize("task_id", ["x" * 65, "ü", "a$b"])
    async def test_an_id_that_cannot_be_one_is_a_dead_letter(self, home: System, task_id: str):
        receipt = await submit(home, task_id)

        async def set_aside() -> bool:
            return bool(await letters(home))

        await until_async(set_aside)
        (letter,) = await letters(home)
        assert (letter["id"], letter["subject"]) == (
            receipt["seq"],
            f"deliberation.submit.{task_id}",
        )
        assert await opened(home) == 0


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
