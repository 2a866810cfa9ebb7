"""Whatever a client sends: one typed error, nothing stored, and the actor unharmed."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from actors.settings import Limits
from schemas.codec import CONTENT_TYPE, MSGPACK
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.harness.events import until_async
from tests.harness.system import Reply, System

GOOD: dict[str, Any] = {"task_description": "Add retries", "role": "DEV"}


def nested(depth: int) -> bytes:
    return json.dumps(GOOD)[:-1].encode() + b',"response_schema":' + b'{"a":' * depth


BAD: dict[str, tuple[bytes | dict[str, Any], str, str]] = {
    "not JSON": (b"nope", "bad_message", "$"),
    "half of JSON": (b'{"task_description": "x', "bad_message", "$"),
    "a list": (b"[]", "bad_message", "$"),
    "an empty object": (b"{}", "bad_message", "$.task_description"),
    "no body": (b"", "bad_message", "$.task_description"),
    "zero bytes": (b"\0" * 100, "bad_message", "$"),
    "invalid UTF-8": (b'{"task_description": "\xff\xfe", "role": "DEV"}', "bad_message", "$"),
    "a number for a text": (GOOD | {"task_description": 7}, "bad_message", "$.task_description"),
    "a text for a number": (GOOD | {"num_agents": "3"}, "bad_message", "$.num_agents"),
    "an empty task": (GOOD | {"task_description": ""}, "bad_message", "$.task_description"),
    "a blank task": (GOOD | {"task_description": " \n"}, "bad_message", "$.task_description"),
    "an over-long task": (
        GOOD | {"task_description": "x" * 100_001},
        "bad_message",
        "$.task_description",
    ),
    "an unknown role": (GOOD | {"role": "CHEF"}, "unknown_role", "$.role"),
    "a wildcard for a role": (GOOD | {"role": "*"}, "bad_message", "$.role"),
    "a command in the role": (GOOD | {"role": "A\r\nPUB x"}, "bad_message", "$.role"),
    "a wildcard for an id": (GOOD | {"task_id": ">"}, "bad_message", "$.task_id"),
    "no agents": (GOOD | {"num_agents": 0}, "bad_message", "$.num_agents"),
    "fewer than no agents": (GOOD | {"num_agents": -1}, "bad_message", "$.num_agents"),
    "more agents than seats": (GOOD | {"num_agents": 4}, "too_many_agents", "$.num_agents"),
    "a million agents": (GOOD | {"num_agents": 10**6}, "bad_message", "$.num_agents"),
    "a negative time-out": (
        GOOD | {"constraints": {"timeout_seconds": -1}},
        "bad_message",
        "$.constraints.timeout_seconds",
    ),
    "an unknown field": (GOOD | {"colour": "red"}, "bad_message", "$.colour"),
    "an unknown protocol": (GOOD | {"protocol": "duel"}, "bad_message", "$.protocol"),
    "2 MB": (GOOD | {"context": "x" * 2_000_000}, "too_large", "$"),
    "deep nesting": (b"[" * 100_000, "bad_message", "$"),
    "deep nesting in a schema": (nested(50_000), "bad_message", "$"),
    "a large schema": (
        GOOD | {"response_schema": {"a": "x" * 20_000}},
        "bad_request",
        "$.response_schema",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_request_is_refused_for(system: System, name: str):
    body, code, path = BAD[name]
    await system.add("registry")
    await system.add("dispatcher")
    reply = await system.client.call(names.REQUEST, body)
    assert (reply.code, reply.error["path"]) == (code, path)
    assert await system.client.bus.last_sequence(DELIBERATIONS) == 0
    await system.client.ask()


async def test_a_schema_nested_to_any_depth_is_refused_or_answered(council: System):
    for depth in (100, 150, 200, 300, 450, *range(700, 1_000, 10)):
        body = nested(depth) + b"1" + b"}" * (depth + 1)
        reply = await council.client.call(names.REQUEST, body)
        if reply.error is None:
            result = await council.client.outcome(reply.body["task_id"])
            assert result.status in ("COMPLETED", "FAILED")
        else:
            assert reply.code in ("bad_message", "bad_request")
            assert reply.error["path"] in ("$", "$.response_schema")


async def test_a_time_out_over_the_limit_of_the_system_is_refused(system: System):
    await system.add("registry")
    await system.add("dispatcher", limits=Limits(max_timeout_seconds=10))
    request = GOOD | {"constraints": {"timeout_seconds": 11}}
    reply = await system.client.call(names.REQUEST, request)
    assert (reply.code, reply.error["path"]) == ("bad_request", "$.constraints.timeout_seconds")


async def test_a_format_that_is_not_spoken_is_refused(council: System):
    reply = await council.client.call(names.REQUEST, GOOD, {CONTENT_TYPE: "text/xml"})
    assert reply.code == "bad_message"


async def test_a_request_nobody_waits_for_is_counted_and_not_done(council: System):
    await council.client.bus.publish(names.REQUEST, json.dumps(GOOD).encode())

    async def counted() -> bool:
        (stats,) = await council.client.discovered("STATS", "conclave-dispatcher")
        return stats["data"]["unanswerable"] == 1

    await until_async(counted)
    assert await council.client.bus.last_sequence(DELIBERATIONS) == 0


@pytest.mark.parametrize(
    "subject",
    [
        names.CANCEL,
        names.GET,
        names.WAIT,
        names.LIST,
        names.COUNCIL_CREATE,
        names.COUNCIL_GET,
        names.COUNCIL_DELETE,
    ],
)
async def test_every_other_endpoint_refuses_garbage_too(council: System, subject: str):
    for body in (b"nope", b"[" * 100_000, b'{"task_id": "\xff"}', b'{"colour": 1}', b"7"):
        assert (await council.client.call(subject, body)).code == "bad_message"
    assert (await council.client.call(names.LIST)).error is None


async def test_errors_are_counted_with_the_last_one_told(council: System):
    await council.client.call(names.REQUEST, b"nope")
    (stats,) = await council.client.discovered("STATS", "conclave-dispatcher")
    endpoint = next(each for each in stats["endpoints"] if each["subject"] == names.REQUEST)
    assert (endpoint["num_requests"], endpoint["num_errors"]) == (1, 1)
    assert endpoint["last_error"].startswith("bad_message: ")


async def test_a_request_in_messagepack_gets_messagepack_back(council: System):
    headers = {CONTENT_TYPE: MSGPACK}
    body = msgspec.msgpack.encode(GOOD)
    reply = await council.client.bus.request(names.REQUEST, body, headers)
    assert reply.headers[CONTENT_TYPE] == MSGPACK
    task_id = msgspec.msgpack.decode(reply.body)["task_id"]
    await council.client.outcome(task_id)
    reply = await council.client.bus.request(
        names.GET, msgspec.msgpack.encode({"task_id": task_id}), headers
    )
    assert msgspec.msgpack.decode(reply.body)["status"] == "COMPLETED"


async def test_an_error_in_messagepack_is_an_error_in_messagepack(council: System):
    reply = await council.client.bus.request(names.REQUEST, b"\xc1", {CONTENT_TYPE: MSGPACK})
    assert reply.headers[CONTENT_TYPE] == MSGPACK
    assert msgspec.msgpack.decode(reply.body)["error"]["code"] == "bad_message"


async def test_a_storm_of_bad_requests_hinders_nobody(council: System):
    bad = [council.client.call(names.REQUEST, b"nope") for _ in range(300)]
    good = [council.client.ask(num_agents=1) for _ in range(5)]
    replies = await asyncio.gather(*bad, *good)
    assert all(each.code == "bad_message" for each in replies if isinstance(each, Reply))
    await asyncio.gather(*(council.client.outcome(each.task_id) for each in replies[300:]))


async def test_more_than_can_be_in_flight_is_told_so(system: System):
    await system.add("registry")
    await system.add("dispatcher", limits=Limits(max_in_flight=1))
    replies = await asyncio.gather(*(system.client.call(names.REQUEST, GOOD) for _ in range(50)))
    codes = {each.code for each in replies if each.error is not None}
    assert codes <= {"overloaded"}
    assert any(each.error is None for each in replies)
