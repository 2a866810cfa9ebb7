"""JSON Schema in words: what a field may hold, short enough for a cell of a table."""

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_RANGES = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " keys"),
)


def kind(schema: Schema) -> str:
    """The type with its bounds, messages and parts of messages as links into the page."""
    if "allOf" in schema:
        return kind(schema["allOf"][0])
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " · ".join(f"`{value}`" for value in schema["enum"])
    return ", ".join([_name(schema), *_bounds(schema)])


def link(name: str) -> str:
    """A link to where the page describes a message or a part of one."""
    return f"[{name}](#{name.lower()})"


def default(field: Schema, *, required: bool) -> str:
    """What a field is when it is left out, or that it may not be."""
    if required:
        return "**required**"
    return f"`{json.dumps(field['default'], ensure_ascii=False)}`" if "default" in field else ""


def _name(schema: Schema) -> str:
    match schema.get("type"):
        case "array":
            return f"list of {kind(schema['items'])}"
        case "object":
            values = schema.get("additionalProperties")
            return f"map of {kind(values)}" if isinstance(values, dict) else "object"
        case "integer":
            return "whole number"
        case None:
            return "anything"
        case other:
            return str(other)


def _bounds(schema: Schema) -> Iterator[str]:
    for low, high, unit in _RANGES:
        least = schema.get(low)
        most = schema.get(high)
        if "exclusiveMinimum" in schema and low == "minimum":
            yield f"above {_number(schema['exclusiveMinimum'])}"
        if least is not None and most is not None:
            yield f"{_number(least)}…{_number(most)}{unit}"
        elif most is not None:
            yield f"at most {_number(most)}{unit}"
        elif least is not None:
            yield f"at least {_number(least)}{unit}"
    if "pattern" in schema:
        yield f"`{schema['pattern']}`".replace("|", "\\|")


def _number(value: float) -> str:
    return "2⁵³" if value == 2**53 else f"{value:,}".removesuffix(".0")
