"""One layer of the configuration at a time: check it, name its fault, lay it over the others.

Each value is checked where it was written, so an error can name the file, variable or flag.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

PREFIX: Final = "CONCLAVE_"
SEPARATOR: Final = "__"
EVERY: Final = "*"
SECRET: Final = re.compile(r"(password|token)$", re.IGNORECASE)

Values = dict[str, Any]


class ConfigError(Exception):
    """The configuration is wrong: where, which key, what is wrong, what is allowed."""

    def __init__(self, source: str, key: str, wrong: str, allowed: str) -> None:
        place = f"{source}: {key}" if key else source
        super().__init__(f"{place}: {wrong}; allowed: {allowed}")
        self.source = source
        self.key = key
        self.wrong = wrong
        self.allowed = allowed


def merge(under: Values, over: Values) -> Values:
    """Lay `over` upon `under`, table by table."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = (
            merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def checked(kind: Any, found: Any, source: str, key: str = "") -> Any:
    """Return `found` if it may stand for a (partial) `kind`, in plain types. Raises ConfigError."""
    if not _is_table(kind):
        return _leaf(kind, found, source, key, strict=True)
    if not isinstance(found, Mapping):
        wrong = f"expected a table, got `{type(found).__name__}`"
        raise ConfigError(source, key, wrong, _listed(_members(kind)))
    return {
        name: checked(_member(kind, name, source, key), value, source, _join(key, name))
        for name, value in found.items()
    }


def from_json(kind: type[Struct], text: str, source: str) -> Values:
    """Return a whole configuration as another process encoded it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(source, "", f"is not JSON: {error}", "what a supervisor wrote") from None
    values: Values = checked(kind, found, source)
    whole: Values = msgspec.to_builtins(kind())
    return merge(whole | {"pools": {}}, values)


def from_environment(kind: type[Struct], environ: Mapping[str, str], under: Values) -> Values:
    """Return the values of all `CONCLAVE_SECTION__KEY` variables, and of `NATS_URL`."""
    values: Values = {}
    if url := environ.get("NATS_URL"):
        values = {"nats": {"url": url}}
    for variable in sorted(environ):
        name = variable.upper()
        if not name.startswith(PREFIX):
            continue
        if SEPARATOR in name:
            path = name.removeprefix(PREFIX).split(SEPARATOR)
            values = merge(values, _variable(kind, path, environ[variable], variable, under))
        else:
            _refuse_near_miss(kind, name, variable)
    return values


def from_flags(kind: type[Struct], flags: Mapping[str, Any], under: Values) -> Values:
    """Return what the flags say; None is left out, and pool `*` is every pool of `under`."""
    given: Values = _without_none(flags)
    pools = given.get("pools")
    if isinstance(pools, dict) and EVERY in pools:
        every = pools.pop(EVERY)
        given["pools"] = merge(dict.fromkeys(under["pools"], every), pools)
    values: Values = checked(kind, given, "command line")
    return values


def _variable(kind: Any, path: list[str], text: str, variable: str, under: Values) -> Values:
    """Return one variable's value inside the tables it belongs to."""
    head, rest = path[0], path[1:]
    name = _spelt(head, under, kind) if _is_pool_table(kind) else head.lower()
    member = _member(kind, name, variable, "")
    if rest and _is_table(member):
        below = under.get(name, {})
        return {name: _variable(member, rest, text, variable, below)}
    if rest:
        raise ConfigError(variable, "", f"`{name}` has no keys", f"{PREFIX}SECTION__KEY")
    if _is_table(member):
        return {name: checked(member, _parsed(text, variable), variable)}
    value: Any = text
    if get_origin(member) is tuple:
        is_json = text.lstrip().startswith("[")
        value = _parsed(text, variable) if is_json else [v.strip() for v in text.split(",")]
    return {name: _leaf(member, value, variable, "", strict=False)}


def _leaf(kind: Any, value: Any, source: str, key: str, *, strict: bool) -> Any:
    try:
        return msgspec.to_builtins(msgspec.convert(value, kind, strict=strict))
    except msgspec.ValidationError as error:
        shown = "this value" if SECRET.search(f"{source}.{key}") else repr(value)
        raise ConfigError(source, key, f"{shown} is wrong", _allowed(kind, error)) from None


def _allowed(kind: Any, error: msgspec.ValidationError) -> str:
    """Return what may stand there, in the words of the type, else of the error."""
    for part in getattr(kind, "__metadata__", ()):
        if isinstance(part, Meta) and part.description:
            return part.description
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    expected, _, _ = str(error).partition(", got")
    return expected.removeprefix("Expected ")


def _parsed(text: str, source: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(source, "", f"is not JSON: {error}", "JSON") from None


@cache
def _fields(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _is_pool_table(kind: Any) -> bool:
    return get_origin(kind) is dict


def _is_table(kind: Any) -> bool:
    return _is_pool_table(kind) or (isinstance(kind, type) and issubclass(kind, Struct))


def _members(kind: Any) -> Iterable[str]:
    return ("any name",) if _is_pool_table(kind) else _fields(kind)


def _member(kind: Any, name: str, source: str, key: str) -> Any:
    """Return the type of what is called `name` inside a table of `kind`."""
    if _is_pool_table(kind):
        names, member = get_args(kind)
        _leaf(names, name, source, _join(key, name), strict=True)
        return member
    fields = _fields(kind)
    if name not in fields:
        near = difflib.get_close_matches(name, fields, 1)
        wrong = f"unknown key, did you mean `{near[0]}`?" if near else "unknown key"
        raise ConfigError(source, _join(key, name), wrong, _listed(fields))
    return fields[name]


def _refuse_near_miss(kind: type[Struct], name: str, variable: str) -> None:
    """Refuse `CONCLAVE_SERVER_PORT`, which would be passed over without a word."""
    section, _, key = name.removeprefix(PREFIX).partition("_")
    if section.lower() in _fields(kind) and key:
        raise ConfigError(variable, "", "one underscore", f"{PREFIX}{section}{SEPARATOR}{key}")


def _spelt(name: str, known: Values, kind: Any) -> str:
    """Return a key as written elsewhere. Variables are in capitals, as roles are and pools not."""
    own = name.lower() if _is_table(get_args(kind)[1]) else name.upper()
    return next((k for k in known if k.upper() == name.upper()), own)


def _without_none(flags: Mapping[str, Any]) -> Values:
    kept = {name: value for name, value in flags.items() if value is not None}
    return {
        name: _without_none(value) if isinstance(value, Mapping) else value
        for name, value in kept.items()
    }


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
