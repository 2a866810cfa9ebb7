"""What breaks between two versions of one JSON Schema, in the direction that its message goes."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}
_ANYTHING = "anything"


def missing(before: Collection[Any], after: Collection[Any]) -> list[Any]:
    """What was there and is no more, in order."""
    return [each for each in before if each not in after]


class Pair:
    """The same part of an older and a newer document; `{}` where one has it not."""

    def __init__(self, old: Json, new: Json, old_root: Json, new_root: Json) -> None:
        self.old = _resolved(old, old_root)
        self.new = _resolved(new, new_root)
        self._roots = old_root, new_root

    def of(self, *path: str) -> "Pair":
        """A part further down."""
        old, new = self.old, self.new
        for key in path:
            old, new = old.get(key, {}), new.get(key, {})
        return Pair(old, new, *self._roots)

    def differences(self, where: str, *, received: bool) -> Iterator[str]:
        """Every breaking difference from here down. `received`: by the system, from a program."""
        if "anyOf" in self.old or "anyOf" in self.new:
            yield from self._alternatives(where, received)
            return
        yield from _kinds(_by_kind(self.old), _by_kind(self.new), where, received)
        yield from self._bounds(where, received)
        if received:
            yield from self._narrowed(where)
        yield from self._fields(where, received)
        for part in ("items", "propertyNames", "additionalProperties"):
            if all(isinstance(side.get(part), Mapping) for side in (self.old, self.new)):
                yield from self.of(part).differences(f"{where}[]", received=received)

    def _alternatives(self, where: str, received: bool) -> Iterator[str]:
        before, after = _by_kind(self.old), _by_kind(self.new)
        yield from _kinds(before, after, where, received)
        for kind in before:
            if kind in after:
                pair = Pair(before[kind], after[kind], *self._roots)
                yield from pair.differences(where, received=received)

    def _bounds(self, where: str, received: bool) -> Iterator[str]:
        for bounds, sign in ((_LOWER, 1), (_UPPER, -1)):
            for bound in bounds:
                before, after = self.old.get(bound), self.new.get(bound)
                if before == after:
                    continue
                tighter = before is None or (after is not None and (after - before) * sign > 0)
                if tighter == received:
                    yield f"{where}: {bound} was {before}, is {after}"
        before, after = self.old.get("pattern"), self.new.get("pattern")
        if before != after and (after if received else before) is not None:
            yield f"{where}: pattern was {before}, is {after}"

    def _narrowed(self, where: str) -> Iterator[str]:
        if "enum" in self.new:
            for value in missing(self.old.get("enum", ["any other value"]), self.new["enum"]):
                yield f"{where}: no longer accepts {value}"
        if self.new.get("additionalProperties") is False and "additionalProperties" not in self.old:
            yield f"{where}: no longer accepts unknown fields"

    def _fields(self, where: str, received: bool) -> Iterator[str]:
        before, after = self.old.get("properties", {}), self.new.get("properties", {})
        for field in missing(before, after):
            yield f"{where}.{field}: removed"
        always = self.old.get("required", ()), self.new.get("required", ())
        for field in missing(always[1], always[0]) if received else missing(*always):
            yield f"{where}.{field}: {'now required' if received else 'no longer always there'}"
        for field in (each for each in before if each in after):
            here = f"{where}.{field}"
            if received and before[field].get("default") != after[field].get("default"):
                yield f"{here}: another default"
            yield from self.of("properties", field).differences(here, received=received)


def _kinds(
    before: Collection[str], after: Collection[str], where: str, received: bool
) -> Iterator[str]:
    wide, narrow = (after, before) if received else (before, after)
    if _ANYTHING in wide:
        return
    for kind in missing(narrow, wide):
        if kind != "integer" or "number" not in wide:
            yield f"{where}: {'no longer accepts' if received else 'is now also'} {kind}"


def _by_kind(schema: Json) -> dict[str, Json]:
    """What a value may be: the alternatives, Structs by name and others by JSON type."""
    if "anyOf" in schema:
        return {kind: each for part in schema["anyOf"] for kind, each in _by_kind(part).items()}
    if "$ref" in schema:
        return {schema["$ref"].rpartition("/")[2]: schema}
    if "enum" in schema:
        return {_TYPES[type(schema["enum"][0])]: schema}
    return {schema.get("type", _ANYTHING): schema}


def _resolved(schema: Json, root: Json) -> Json:
    """The schema itself, whether it is given, referred to, or the one part of an `allOf`."""
    if "allOf" in schema:
        schema = schema["allOf"][0]
    if "$ref" not in schema:
        return schema
    found: Json = root["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found
