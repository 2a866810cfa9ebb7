"""Golden captures: every example as bytes in JSON and in MessagePack, and an index of them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.codec import CONTENT_TYPE, JSON, MSGPACK, encode
from schemas.contract.examples import EXAMPLES
from schemas.version import VERSION

INDEX = "index.json"
_SUFFIXES = {"json": JSON, "msgpack": MSGPACK}


def captures() -> Mapping[str, bytes]:
    """Every file of a folder of captures by its name, the index among them."""
    files: dict[str, bytes] = {}
    entries: list[dict[str, Any]] = []
    for example in EXAMPLES:
        bodies = {suffix: f"{example.name}.{suffix}" for suffix in _SUFFIXES}
        for suffix, file in bodies.items():
            files[file] = encode(example.message, _SUFFIXES[suffix])
        entry = {
            "name": example.name,
            "message": type(example.message).__name__,
            "subject": example.subject,
            "answers": example.answers,
            "headers": example.headers,
        }
        entries.append(entry | bodies)
    index = {"version": VERSION, CONTENT_TYPE: _SUFFIXES, "captures": entries}
    files[INDEX] = pretty(index)
    return files


def pretty(document: Any) -> bytes:
    """JSON as it is committed: indented, and with a line feed at its end."""
    return msgspec.json.format(encode(document), indent=2) + b"\n"
