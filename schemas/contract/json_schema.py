"""JSON Schema of every message, from the Structs, with the meaning of each field."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from schemas.contract.channels import CHANNELS
from schemas.contract.endpoints import DISCOVERY, ENDPOINTS
from schemas.contract.meanings import meaning
from schemas.errors import ErrorReply
from schemas.version import VERSION

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_END_IN_PYTHON = r"(?![\s\S])"
"""Python's `$` lets a line feed follow; that of JSON Schema (ECMA 262) does not."""


def messages() -> tuple[type[Struct], ...]:
    """Every kind of message there is, once, in the order of the tables."""
    found = [kind for endpoint in ENDPOINTS for kind in (endpoint.request, endpoint.reply)]
    found += [kind for channel in CHANNELS for kind in channel.messages]
    found += [reply for _, reply, _ in DISCOVERY]
    return tuple(dict.fromkeys([*found, ErrorReply]))


def components(kinds: Iterable[type[Struct]], template: str) -> Mapping[str, Schema]:
    """The schemas of these Structs and of all they hold; `template` is how they refer to each."""
    _, found = msgspec.json.schema_components(kinds, ref_template=template)
    return {name: _described(name, schema) for name, schema in sorted(found.items())}


def standalone(kind: type[Struct]) -> Schema:
    """The schema of one message with all that it needs inside."""
    defs = dict(components([kind], "#/$defs/{name}"))
    own = defs.pop(kind.__name__)
    identity = {"$schema": DIALECT, "$id": f"urn:conclave:{VERSION}:{kind.__name__}"}
    return identity | own | ({"$defs": defs} if defs else {})


def _described(name: str, schema: Schema) -> Schema:
    tidied: Schema = _tidy(schema)
    tidied["description"] = inspect.cleandoc(tidied["description"])
    for field, each in tidied["properties"].items():
        said = each.pop("description", "")
        each["description"] = f"{meaning(name, field)} ({said})" if said else meaning(name, field)
    if not tidied["required"]:
        del tidied["required"]
    return tidied


def _tidy(node: Any) -> Any:
    """As any JSON Schema reader wants it: nothing beside a `$ref`, patterns without Python."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    tidied = {key: _tidy(value) for key, value in node.items()}
    if isinstance(tidied.get("pattern"), str):
        tidied["pattern"] = tidied["pattern"].replace(_END_IN_PYTHON, "$")
    if "$ref" in tidied and len(tidied) > 1:
        tidied["allOf"] = [{"$ref": tidied.pop("$ref")}]
    return tidied
