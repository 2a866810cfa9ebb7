"""What may change in a minor version and what may not; and that nothing of the latter did."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.contract.asyncapi import as_json
from schemas.contract.compatibility import breaks
from schemas.version import VERSION

RELEASED = Path(__file__).parents[2] / "deploy/contract/released"
Json = dict[str, Any]
Change = Callable[[Json], Any]


def version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def test_this_contract_breaks_nothing_that_was_released_under_its_major_version():
    last = max((path.name for path in RELEASED.iterdir()), key=version)
    released = json.loads((RELEASED / last / "asyncapi.json").read_text())
    assert released["info"]["version"] == last
    now = json.loads(as_json())
    assert version(last) <= version(VERSION)
    if version(last)[0] == version(VERSION)[0]:
        assert not breaks(released, now)
        same = released["components"]["schemas"] == now["components"]["schemas"]
        assert same or version(last) < version(VERSION), "what was released never changes"


def contract() -> Json:
    """A contract in which everything occurs that a rule is about."""
    asked = {
        "title": "Ask",
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^a"},
            "number": {"type": "integer", "minimum": 0, "maximum": 9, "default": 1},
            "way": {"enum": ["up", "down"], "default": "up"},
            "limits": {"allOf": [{"$ref": "#/components/schemas/Limits"}], "default": {}},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "maxItems": 4},
            "extra": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "required": ["text"],
        "additionalProperties": False,
    }
    limits = {
        "title": "Limits",
        "type": "object",
        "properties": {"seconds": {"type": "number", "exclusiveMinimum": 0.0, "maximum": 60.0}},
    }
    told = copy.deepcopy(asked) | {"title": "Told"}
    del told["additionalProperties"]
    schemas = {"Ask": asked, "Told": told, "Tick": copy.deepcopy(told), "Limits": limits}
    schemas["Headers"] = {"type": "object", "properties": {"Version": {"type": "string"}}}
    messages = {
        name: {
            "headers": {"$ref": "#/components/schemas/Headers"},
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        for name in ("Ask", "Told", "Tick")
    }
    return {
        "channels": {"ask": {"address": "x.ask"}, "tick": {"address": "x.tick"}},
        "operations": {
            "ask": {
                "action": "receive",
                "messages": [{"$ref": "#/channels/ask/messages/Ask"}],
                "reply": {"messages": [{"$ref": "#/channels/ask_reply/messages/Told"}]},
                "x-errors": ["bad"],
            },
            "tick": {"action": "send", "messages": [{"$ref": "#/channels/tick/messages/Tick"}]},
        },
        "components": {"messages": messages, "schemas": schemas},
        "x-errors": {"bad": {"number": 400}},
        "x-streams": {"S": {"subjects": ["x.a", "x.b"], "republish": {"source": "x.a"}}},
    }


def properties(document: Json, name: str) -> Json:
    found: Json = document["components"]["schemas"][name]["properties"]
    return found


def put(name: str, field: str, **change: Any) -> Change:
    """Change keywords of a field's schema; None takes one away."""

    def apply(document: Json) -> None:
        schema = properties(document, name)[field]
        for key, value in change.items():
            schema[key] = value
            if value is None and key != "default":
                del schema[key]

    return apply


def add(name: str, field: str, *, required: bool = False) -> Change:
    def apply(document: Json) -> None:
        properties(document, name)[field] = {"type": "string"}
        if required:
            document["components"]["schemas"][name]["required"].append(field)

    return apply


def drop(name: str, field: str) -> Change:
    return lambda document: properties(document, name).pop(field)


def require(name: str, *names: str) -> Change:
    return lambda document: document["components"]["schemas"][name].update(required=list(names))


def refuse_unknown(name: str) -> Change:
    return lambda document: document["components"]["schemas"][name].update(
        additionalProperties=False
    )


def forget(*path: str) -> Change:
    def apply(document: Json) -> None:
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return apply


def also_reply(document: Json) -> None:
    reply = document["operations"]["ask"]["reply"]["messages"]
    reply.append({"$ref": "#/channels/ask_reply/messages/Tick"})


def also_tick(document: Json) -> None:
    document["operations"]["tick"]["messages"].append({"$ref": "#/channels/tick/messages/Told"})


NULLABLE = [{"type": "string"}, {"type": "null"}]

BREAKING: dict[str, Change] = {
    "an endpoint is removed": forget("operations", "ask"),
    "a channel is removed": forget("channels", "tick"),
    "a subject is another": lambda d: d["channels"]["ask"].update(address="y.ask"),
    "the direction is turned": lambda d: d["operations"]["tick"].update(action="receive"),
    "a message is removed from an event": lambda d: d["operations"]["tick"].update(messages=[]),
    "a reply is of another kind": also_reply,
    "an error has another number": lambda d: d["x-errors"]["bad"].update(number=404),
    "an error is removed": forget("x-errors", "bad"),
    "a stream is removed": forget("x-streams", "S"),
    "a stream stores less": lambda d: d["x-streams"]["S"].update(subjects=["x.a"]),
    "a stream republishes elsewhere": lambda d: d["x-streams"]["S"].update(republish={}),
    "a field of a request is removed": drop("Ask", "note"),
    "a new field of a request is required": add("Ask", "more", required=True),
    "a field of a request becomes required": require("Ask", "text", "number"),
    "a request takes fewer characters": put("Ask", "text", maxLength=99),
    "a request takes more characters at least": put("Ask", "text", minLength=2),
    "a request takes another pattern": put("Ask", "text", pattern="^b"),
    "a request takes smaller numbers": put("Ask", "number", maximum=8),
    "a request gets a bound": put("Limits", "seconds", minimum=1.0),
    "a request takes fewer items": put("Ask", "tags", maxItems=3),
    "a request takes shorter items": put("Ask", "tags", items={"type": "string", "maxLength": 4}),
    "a request takes another type": put("Ask", "number", type="string"),
    "a request takes other values in a map": put(
        "Ask", "extra", additionalProperties={"type": "string"}
    ),
    "a request takes no null any more": put("Ask", "note", anyOf=[{"type": "string"}]),
    "a request takes a value no more": put("Ask", "way", enum=["up"]),
    "a request takes certain values only": put("Ask", "text", enum=["abc"], type=None),
    "a request means something else by saying nothing": put("Ask", "number", default=2),
    "a part of a request refuses unknown fields": refuse_unknown("Limits"),
    "a header is removed": drop("Headers", "Version"),
    "a field of a reply is removed": drop("Told", "note"),
    "a field of a reply is no longer always there": require("Told"),
    "a reply holds longer text": put("Told", "text", maxLength=101),
    "a reply has lost a bound": put("Told", "text", maxLength=None),
    "a reply holds text of another pattern": put("Told", "text", pattern="^b"),
    "a field of a reply may be null": put("Told", "text", type=None, anyOf=NULLABLE),
    "a field of an event has another type": put("Tick", "number", type="string"),
    "a whole number of an event becomes a fraction": put("Tick", "number", type="number"),
    "a field of an event is removed": drop("Tick", "way"),
}
HARMLESS: dict[str, Change] = {
    "nothing": lambda _: None,
    "an endpoint has one error less": lambda d: d["operations"]["ask"].update({"x-errors": []}),
    "a new endpoint": lambda d: d["operations"].update(more=d["operations"]["ask"]),
    "a new error": lambda d: d["x-errors"].update(worse={"number": 500}),
    "an endpoint has another error": lambda d: d["operations"]["ask"]["x-errors"].append("worse"),
    "a stream stores more": lambda d: d["x-streams"]["S"]["subjects"].append("x.c"),
    "an event of a new kind": also_tick,
    "a new field in a request": add("Ask", "more"),
    "a field of a request may be left out": require("Ask"),
    "a request takes more characters": put("Ask", "text", maxLength=101),
    "a request takes any pattern": put("Ask", "text", pattern=None),
    "a request takes null": put("Ask", "text", type=None, anyOf=NULLABLE),
    "a request takes fractions": put("Ask", "number", type="number"),
    "a request takes anything": put("Ask", "extra", additionalProperties={}),
    "a request takes another value": put("Ask", "way", enum=["up", "down", "left"]),
    "a new field in a reply": add("Told", "more"),
    "a new field in a reply is always there": add("Told", "more", required=True),
    "a field of a reply is always there": require("Told", "text", "number"),
    "a reply holds shorter text": put("Told", "text", maxLength=99),
    "a reply holds a value that was not known": put("Told", "way", enum=["up", "down", "left"]),
    "a reply says less often null": put("Told", "note", anyOf=[{"type": "string"}]),
    "other words": put("Ask", "text", description="the text"),
}


@pytest.mark.parametrize("change", BREAKING.values(), ids=BREAKING)
def test_it_breaks_when(change: Change):
    old, new = contract(), contract()
    change(new)
    assert new != old
    assert breaks(old, new)


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_it_is_harmless_when(change: Change):
    old, new = contract(), contract()
    change(new)
    assert not breaks(old, new)
