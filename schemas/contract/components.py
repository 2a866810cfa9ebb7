"""The components of the AsyncAPI document: messages with headers and examples, and schemas."""

from collections import defaultdict
from typing import Any

import msgspec
from msgspec import Struct

from schemas import version
from schemas.codec import CONTENT_TYPE, JSON, MSGPACK
from schemas.contract import json_schema
from schemas.contract.examples import EXAMPLES
from schemas.errors import ERROR_CODE_HEADER, ERROR_HEADER, RETRY_AFTER_HEADER, ErrorReply

Json = dict[str, Any]


def messages() -> Json:
    """Every message by its name, with its examples."""
    by_kind: defaultdict[type[Struct], list[Json]] = defaultdict(list)
    for example in EXAMPLES:
        shown = {"name": example.name, "payload": msgspec.to_builtins(example.message)}
        if example.headers:
            shown["headers"] = example.headers
        by_kind[type(example.message)].append(shown)
    found = {kind.__name__: _message(kind, by_kind[kind]) for kind in json_schema.messages()}
    nothing = {"name": "Nothing", "summary": "An empty message.", "payload": {"type": "null"}}
    return {"Nothing": nothing} | dict(sorted(found.items()))


def _message(kind: type[Struct], shown: list[Json]) -> Json:
    name = kind.__name__
    headers = "ErrorHeaders" if kind is ErrorReply else "Headers"
    summary, _, _ = (kind.__doc__ or "").partition("\n")
    return {
        "name": name,
        "summary": summary,
        "contentType": JSON,
        "headers": {"$ref": f"#/components/schemas/{headers}"},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": shown,
    }


def schemas() -> Json:
    """Every schema by its name: headers, messages, and parts of messages."""
    text = {"type": "string"}
    said = "`major.minor` of this contract; without it, the version of whoever reads"
    form = "of the body; a reply has that of its request"
    headers: Json = {
        version.SCHEMA: text | {"description": said, "pattern": r"^\d+\.\d+$"},
        CONTENT_TYPE: text | {"description": form, "enum": [JSON, MSGPACK], "default": JSON},
    }
    errors = headers | {
        ERROR_HEADER: text | {"description": "what went wrong, in a sentence"},
        ERROR_CODE_HEADER: text | {"description": "the error's number", "pattern": r"^\d{3}$"},
        RETRY_AFTER_HEADER: text
        | {"description": "with `overloaded`: by then there is room", "pattern": r"^\d+$"},
    }
    return {
        "Headers": {"type": "object", "properties": headers},
        "ErrorHeaders": {
            "type": "object",
            "properties": errors,
            "required": [ERROR_HEADER, ERROR_CODE_HEADER],
        },
        **json_schema.components(json_schema.messages(), "#/components/schemas/{name}"),
    }
