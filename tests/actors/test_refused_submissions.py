"""A submission that is refused: it ends as failed with its reason, or is a dead letter."""

from typing import Any, get_args

import pytest

from schemas.codec import CONTENT_TYPE, decode, encode
from schemas.deliberation import Opened, ProtocolName
from subjects import names
from tests.actors.submitting import ASK, letters, opened, somebody_comes, submit
from tests.harness.events import until_async
from tests.harness.system import System

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


def test_the_parts_of_a_refused_opening_survive_the_wire():
    from actors.intake.opening import Birth, refused
    from schemas.errors import Refused

    birth = Birth(task_id="t", secret="", now_ms=5, submitted_at_ms=3)
    made = refused(b"\xff \0", None, Refused("bad_message", "no"), birth)
    again = decode(Opened, encode(made))
    assert again == made
    assert (again.asked_at_ms, again.request.role, again.seats) == (3, "none", ())
