"""Captured messages, those of released versions included, still mean what they did."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import JSON, MSGPACK, decode, encode, read
from schemas.contract.json_schema import messages
from schemas.errors import ERROR_CODE_HEADER, ErrorReply
from schemas.version import SCHEMA, VERSION

FOLDER = Path(__file__).parents[2] / "deploy/contract"
KINDS = {kind.__name__: kind for kind in messages()}
CAPTURES = [
    pytest.param(index.parent, capture, id=f"{index.parent.parent.name}-{capture['name']}")
    for index in sorted(
        [FOLDER / "golden/index.json", *FOLDER.glob("released/*/golden/index.json")]
    )
    for capture in json.loads(index.read_text())["captures"]
]


@pytest.mark.parametrize(("folder", "capture"), CAPTURES)
def test_a_capture_is_the_same_message_in_both_formats(folder: Path, capture: dict[str, Any]):
    kind = KINDS[capture["message"]]
    raw = (folder / capture["json"]).read_bytes()
    message = decode(kind, raw, JSON)
    assert decode(kind, (folder / capture["msgpack"]).read_bytes(), MSGPACK) == message
    assert said(json.loads(encode(message)), json.loads(raw))


def said(now: Any, then: Any) -> bool:
    """Whether everything that was said then is said now; more may be."""
    if isinstance(then, dict):
        return all(key in now and said(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(map(said, now, then))
    return bool(now == then)


def test_captures_of_this_version_state_it():
    index = json.loads((FOLDER / "golden/index.json").read_text())
    assert index["version"] == VERSION
    for capture in index["captures"]:
        if not capture["answers"].startswith("$SRV."):
            assert capture["headers"][SCHEMA] == VERSION
        body = (FOLDER / "golden" / capture["json"]).read_bytes()
        read(KINDS[capture["message"]], body, capture["headers"])
        is_error = capture["message"] == ErrorReply.__name__
        assert (ERROR_CODE_HEADER in capture["headers"]) == is_error
