"""What the contract says that a client can send and hear: operations, told by their subjects."""

import json
import re
from pathlib import Path
from typing import Any

from msgspec import Struct

CONTRACT = Path(__file__).parents[2] / "deploy/contract"
DOCUMENT = json.loads((CONTRACT / "asyncapi.json").read_text())


class Operation(Struct, frozen=True):
    """A subject, `*` standing for what varies, and the kinds of message sent there."""

    subject: str
    messages: tuple[str, ...]


def _operation(described: dict[str, Any]) -> Operation:
    channel = DOCUMENT["channels"][described["channel"]["$ref"].rpartition("/")[2]]
    subject = re.sub(r"\{\w+\}", "*", channel["address"])
    return Operation(subject=subject, messages=tuple(channel["messages"]))


def endpoints() -> list[Operation]:
    """Return what is answered."""
    return [_operation(each) for each in DOCUMENT["operations"].values() if "reply" in each]


def events() -> list[Operation]:
    """Return what is not answered: whoever subscribes hears it."""
    return [_operation(each) for each in DOCUMENT["operations"].values() if "reply" not in each]


def fields_of_reply(subject: str) -> set[str]:
    """Return the fields that the reply of an endpoint may have if no error. Raises KeyError."""
    for described in DOCUMENT["operations"].values():
        if "reply" in described and _operation(described).subject == subject:
            kind = described["reply"]["messages"][0]["$ref"].rpartition("/")[2]
            return set(json.loads((CONTRACT / f"schemas/{kind}.json").read_text())["properties"])
    raise KeyError(subject)
