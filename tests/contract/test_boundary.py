"""Whatever bytes come in: a message that can be passed on, or a BadMessage, for every message."""

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import CONTENT_TYPE, JSON, MSGPACK, decode, encode, read
from schemas.contract.json_schema import messages
from schemas.deliberation import DeliberationRequest
from schemas.errors import BadMessage
from schemas.version import SCHEMA
from tests.harness.strategies import mangled

FOLDER = Path(__file__).parents[2] / "deploy/contract/golden"
CAPTURES = json.loads((FOLDER / "index.json").read_text())["captures"]
KINDS = {kind.__name__: kind for kind in messages()}
FORMATS = {JSON: "json", MSGPACK: "msgpack"}

HEADERS = st.fixed_dictionaries(
    {},
    optional={
        CONTENT_TYPE: st.sampled_from([JSON, MSGPACK, "", "text/plain"]),
        SCHEMA: st.sampled_from(["1.0", "1.99", "2.0", "", "x"]) | st.text(max_size=8),
    },
)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=6)
ODD = st.floats() | st.binary(max_size=6) | st.datetimes(timezones=st.just(UTC))
ANYTHING = st.recursive(
    PLAIN | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=6,
)


def passes(kind: Any, body: bytes, headers: dict[str, str]) -> None:
    """Read it; what was understood must say the same in either format."""
    try:
        message = read(kind, body, headers)
    except BadMessage as error:
        assert error.path.startswith("$")
        return
    for content_type in FORMATS:
        assert decode(kind, encode(message, content_type), content_type) == message


@settings(max_examples=300)
@given(kind=st.sampled_from(list(KINDS.values())), body=st.binary(max_size=64), headers=HEADERS)
def test_any_bytes_under_any_headers(kind: Any, body: bytes, headers: dict[str, str]):
    passes(kind, body, headers)


@settings(max_examples=300)
@given(data=st.data(), capture=st.sampled_from(CAPTURES), content_type=st.sampled_from([*FORMATS]))
def test_a_damaged_capture(data: Any, capture: dict[str, Any], content_type: str):
    whole = (FOLDER / capture[FORMATS[content_type]]).read_bytes()
    kind = KINDS[capture["message"]]
    passes(kind, data.draw(mangled(whole)), {CONTENT_TYPE: content_type})


@given(schema=st.dictionaries(st.text(max_size=4), ANYTHING, max_size=3))
def test_what_messagepack_can_hold_and_json_cannot(schema: dict[str, Any]):
    request = {"task_description": "x", "role": "DEV", "response_schema": schema}
    body = msgspec.msgpack.encode(request)
    passes(DeliberationRequest, body, {CONTENT_TYPE: MSGPACK})


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (b"raw", "$.response_schema.a"),
        (float("nan"), "$.response_schema.a"),
        ([1, float("inf")], "$.response_schema.a[1]"),
        ({"b": msgspec.msgpack.Ext(5, b"x")}, "$.response_schema.a.b"),
        ({1: 2}, "$.response_schema.a"),
    ],
    ids=str,
)
def test_what_json_has_no_word_for_is_refused_with_its_path(value: Any, path: str):
    request = {"task_description": "x", "role": "DEV", "response_schema": {"a": value}}
    with pytest.raises(BadMessage) as caught:
        decode(DeliberationRequest, msgspec.msgpack.encode(request), MSGPACK)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        ({"role": "1st"}, "$.role", "a letter, then letters, digits, _ and -, at most 48"),
        ({"task_id": "a b"}, "$.task_id", "letters, digits, _ and -, at most 64"),
        ({"task_description": "\n"}, "$.task_description", "more than white space"),
    ],
    ids=["role", "task_id", "task"],
)
def test_a_text_of_the_wrong_form_is_refused_in_words(body: dict[str, str], path: str, words: str):
    request = {"task_description": "x", "role": "DEV"} | body
    with pytest.raises(BadMessage) as caught:
        decode(DeliberationRequest, json.dumps(request).encode())
    assert (caught.value.message, caught.value.path) == (f"Expected `str`: {words}", path)


@pytest.mark.parametrize("content_type", FORMATS)
def test_a_whole_number_written_as_a_float_is_refused(content_type: str):
    request = {"task_description": "x", "role": "DEV", "priority": 3.0}
    with pytest.raises(BadMessage, match="Expected `int`, got `float`") as caught:
        decode(DeliberationRequest, encode(request, content_type), content_type)
    assert caught.value.path == "$.priority"
