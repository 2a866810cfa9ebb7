"""The smallest JSON value that is valid under a schema, for the engine that has no model."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from actors.engines.engine import GenerationRefused

_MAX_DEPTH: Final = 32

_SILENT: Final = frozenset(
    {
        "$schema",
        "$id",
        "$comment",
        "$defs",
        "definitions",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "format",
        "readOnly",
        "writeOnly",
        "additionalProperties",
    }
)
"""Keywords that ask nothing of the smallest instance."""

_ASKED: Final = {
    "object": frozenset({"properties", "required"}),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "boolean": frozenset[str](),
    "null": frozenset[str](),
}
_EVERY = frozenset().union(*_ASKED.values())


def json_instance(schema: Mapping[str, Any], draw: random.Random, words: Sequence[str]) -> Any:
    """Make the smallest value that is valid under a JSON schema; where there is a choice, draw.

    Raises GenerationRefused with `bad_schema`, naming the place, for keywords not known here and
    for schemas that cannot be met.
    """
    return _Instances(schema, draw, words).of(schema, "$", 0)


class _Instances:
    """One walk over a schema; references lead back to its root."""

    def __init__(self, root: Mapping[str, Any], draw: random.Random, words: Sequence[str]) -> None:
        self._root = root
        self._draw = draw
        self._words = words

    def of(self, schema: Any, path: str, depth: int) -> Any:
        if schema is True:
            return None
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            raise _bad(path, "is no schema that can be met")
        if "$ref" in schema:
            return self.of(self._referred(schema["$ref"], path), path, depth + 1)
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return self.of(_first(schema[choice], f"{path}.{choice}"), path, depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._draw.choice(_filled(schema["enum"], f"{path}.enum"))
        kind = _kind(schema, path)
        make: Callable[[Mapping[str, Any], str, int], Any] = getattr(self, f"_{kind}")
        return make(schema, path, depth + 1)

    def _referred(self, reference: Any, path: str) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _bad(path, "refers to another document")
        found: Any = self._root
        for step in filter(None, reference[1:].split("/")):
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    def _object(self, schema: Mapping[str, Any], path: str, depth: int) -> Any:
        properties = schema.get("properties", {})
        return {
            name: self.of(properties.get(name, True), f"{path}.{name}", depth)
            for name in schema.get("required", ())
        }

    def _array(self, schema: Mapping[str, Any], path: str, depth: int) -> Any:
        least, items = schema.get("minItems", 0), schema.get("items", True)
        if least > schema.get("maxItems", least):
            raise _bad(path, "asks for more items than it allows")
        if isinstance(items, Mapping) and "enum" in items and least <= len(items["enum"]):
            return self._draw.sample(items["enum"], least)
        if not schema.get("uniqueItems"):
            return [self.of(items, f"{path}[{index}]", depth) for index in range(least)]
        if least > 1:
            raise _bad(path, "asks for distinct items that are no enum")
        return [self.of(items, f"{path}[0]", depth)] * least

    def _string(self, schema: Mapping[str, Any], path: str, _: int) -> Any:
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        if least > most:
            raise _bad(path, "asks for a longer string than it allows")
        word = self._draw.choice(self._words)
        return (word * (least // len(word) + 1))[: int(min(max(least, len(word)), most))]

    def _integer(self, schema: Mapping[str, Any], path: str, _: int) -> Any:
        least, most = _bounds(schema)
        low = math.floor(least) + 1 if "exclusiveMinimum" in schema else math.ceil(least)
        high = math.ceil(most) - 1 if "exclusiveMaximum" in schema else math.floor(most)
        if low > high:
            raise _bad(path, "leaves no integer between its bounds")
        return self._draw.randint(low, high)

    def _number(self, schema: Mapping[str, Any], path: str, _: int) -> Any:
        low, high = _bounds(schema)
        value = (low + high) / 2
        bare = {low, high} & {schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")}
        if low > high or value in bare:
            raise _bad(path, "leaves no number between its bounds")
        return value

    def _boolean(self, *_: Any) -> Any:
        return self._draw.random() < 0.5  # noqa: PLR2004

    def _null(self, *_: Any) -> Any:
        return None


def _kind(schema: Mapping[str, Any], path: str) -> str:
    """The type asked for; every other keyword must be one that type knows."""
    given = schema.get("type", "object" if "properties" in schema else "null")
    kind = given[0] if isinstance(given, list) and given else given
    if not isinstance(kind, str) or kind not in _ASKED:
        raise _bad(path, "has a type that JSON does not know")
    for keyword in schema.keys() - _SILENT - {"type"}:
        if keyword not in _EVERY:
            raise _bad(f"{path}.{keyword}", "is beyond the scripted engine")
    return kind


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    if math.isinf(low):
        low = 0 if high > 0 else high - 10
    return low, low + 10 if math.isinf(high) else high


def _filled(options: Any, path: str) -> list[Any]:
    if not isinstance(options, list) or not options:
        raise _bad(path, "is not a list with something in it")
    return options


def _first(options: Any, path: str) -> Any:
    return _filled(options, path)[0]


def _bad(path: str, problem: str) -> GenerationRefused:
    return GenerationRefused("bad_schema", f"{path} {problem}")
