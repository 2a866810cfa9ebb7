"""Bytes become a message or a BadMessage, and nothing else."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.agent import AgentRequest, AgentResponse
from schemas.codec import JSON, MSGPACK, decode, encode
from schemas.council import CouncilCreate, Sampling
from schemas.deliberation import DeliberationRequest, GetQuery, ListQuery
from schemas.errors import BadMessage
from schemas.progress import Progress, TextDelta
from tests.harness.strategies import KINDS, mangled, message

FORMATS = (JSON, MSGPACK)
GOOD = {"task_description": "Add retries", "role": "DEV"}


def refused(kind: Any, body: bytes | dict[str, Any], content_type: str = JSON) -> BadMessage:
    """The error that decoding raises; any other exception fails the test."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(BadMessage) as caught:
        decode(kind, raw, content_type)
    return caught.value


def is_message_or_refused(kind: Any, body: bytes, content_type: str) -> None:
    try:
        found: Any = decode(kind, body, content_type)
    except BadMessage as error:
        found = error
    assert isinstance(found, kind | BadMessage)
    assert not isinstance(found, BadMessage) or found.path.startswith("$")


@pytest.mark.parametrize("content_type", FORMATS)
@settings(max_examples=400)
@given(kind=st.sampled_from(KINDS), body=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(content_type: str, kind: Any, body: bytes):
    is_message_or_refused(kind, body, content_type)


@pytest.mark.parametrize("content_type", FORMATS)
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_a_damaged_message_is_a_message_or_refused(content_type: str, data: Any, kind: Any):
    whole = encode(data.draw(message(kind)), content_type)
    is_message_or_refused(kind, data.draw(mangled(whole)), content_type)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=12)
@given(data=st.data())
def test_every_message_survives_the_wire(kind: Any, data: Any):
    sent = data.draw(message(kind))
    assert [decode(kind, encode(sent, each), each) for each in FORMATS] == [sent, sent]


@given(event=message(Progress))
def test_progress_events_are_told_apart_by_their_tag(event: Any):
    assert decode(Progress, encode(event)) == event


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"colour": "red"}, "$.colour"),
        ({"constraints": {"colour": "red"}}, "$.constraints.colour"),
        ({"task_description": None}, "$.task_description"),
        ({"role": 7}, "$.role"),
        ({"num_agents": "three"}, "$.num_agents"),
        ({"constraints": {"timeout_seconds": -1}}, "$.constraints.timeout_seconds"),
        ({"constraints": {"requirements": ["one", 2]}}, "$.constraints.requirements[1]"),
        ({"sampling": {"temperature": 9}}, "$.sampling.temperature"),
    ],
)
def test_the_field_that_is_wrong_is_named(change: dict[str, Any], path: str):
    assert refused(DeliberationRequest, GOOD | change).path == path


def test_the_field_that_is_missing_is_named():
    assert refused(DeliberationRequest, {"role": "DEV"}).path == "$.task_description"


@pytest.mark.parametrize(
    "change",
    [
        {"task_description": ""},
        {"task_description": " \n\t"},
        {"task_description": "x" * 100_001},
        {"role": ""},
        {"role": "DEV\n"},
        {"role": "DEV.*"},
        {"role": "D" * 49},
        {"task_id": ""},
        {"task_id": "a.b"},
        {"task_id": "a\n"},
        {"task_id": "a" * 65},
        {"num_agents": 0},
        {"num_agents": 65},
        {"num_agents": 2**70},
        {"num_agents": 1.5},
        {"priority": 101},
        {"protocol": "vote-by-mail"},
        {"constraints": {"timeout_seconds": 0}},
        {"constraints": {"timeout_seconds": 3601}},
        {"constraints": {"metadata": {"bad key": "x"}}},
        {"sampling": {"max_tokens": 0}},
        {"sampling": {"stop": ["a", "b", "c", "d", "e"]}},
    ],
    ids=str,
)
def test_what_is_out_of_bounds_is_refused(change: dict[str, Any]):
    refused(DeliberationRequest, GOOD | change)


@pytest.mark.parametrize("digits", [20, 400, 100_000])
def test_a_huge_number_is_refused(digits: int):
    refused(ListQuery, b'{"cursor": ' + b"9" * digits + b"}")


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"response_schema":{"a":' + b"[" * 9])
def test_deep_nesting_is_refused(opening: bytes):
    refused(DeliberationRequest, opening * 50_000)


def test_deep_nesting_is_refused_in_messagepack():
    body = b"\x83\xaftask_description".replace(b"\xaf", b"\xb0") + b"\xa1x" + b"\xa4role\xa3DEV"
    refused(DeliberationRequest, body + b"\xafresponse_schema" + b"\x81\xa1a" * 50_000, MSGPACK)


def test_a_header_that_promises_too_much_is_refused():
    refused(AgentRequest, b"\xdf\xff\xff\xff\xff", MSGPACK)
    refused(CouncilCreate, b"\x81\xa5seats\xdd\xff\xff\xff\xff", MSGPACK)


def test_invalid_utf8_is_refused():
    refused(GetQuery, b'{"task_id": "\xff\xfe"}')
    refused(GetQuery, b"\x81\xa7task_id\xa2\xff\xfe", MSGPACK)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"nope", b'{"task_id": "a"} x', b"\x00"])
def test_what_is_no_object_is_refused(body: bytes):
    refused(GetQuery, body)


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/JSON;charset=latin1"])
def test_a_format_that_is_not_spoken_is_refused(content_type: str):
    assert "Content-Type" in refused(GetQuery, {"task_id": "a"}, content_type).message


def test_an_unknown_tag_is_refused():
    refused(Progress, {"event": "seat_exploded", "task_id": "a", "round": 0, "seat": "s"})


def test_unknown_fields_are_ignored_in_events_so_that_they_can_grow():
    event = {"event": "delta", "task_id": "a", "round": 0, "seat": "s", "text": "x", "mood": "new"}
    assert decode(Progress, json.dumps(event).encode()) == TextDelta(
        task_id="a", round=0, seat="s", text="x"
    )
    decode(AgentResponse, json.dumps({"task_id": "a", "round": 0, "seat": "s", "n": 1}).encode())


def test_defaults_are_left_out_of_what_is_stored():
    assert encode(Sampling(seed=7)) == b'{"seed":7}'


def test_no_struct_of_the_wire_can_be_changed():
    assert all(kind.__struct_config__.frozen for kind in KINDS)
    assert len(KINDS) > 35


def test_requests_refuse_unknown_fields():
    words = ("Request", "Query", "Create")
    commands = {each for each in KINDS if each.__name__.endswith(words)} - {AgentRequest}
    assert len(commands) >= 8
    assert all(each.__struct_config__.forbid_unknown_fields for each in commands)


def test_an_encoded_message_is_plain_json():
    assert msgspec.json.decode(encode(GetQuery(task_id="a"))) == {"task_id": "a", "author_id": None}
