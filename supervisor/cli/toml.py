"""A Struct of Structs written as TOML: just what a configuration needs of it."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct


def toml(whole: Struct) -> str:
    """Return `whole` as TOML: a table for each Struct and each mapping of Structs in it."""
    return "\n".join(_table((), msgspec.to_builtins(whole))).lstrip("\n") + "\n"


def _table(path: tuple[str, ...], values: dict[str, Any]) -> Iterator[str]:
    leaves = {key: value for key, value in values.items() if not isinstance(value, dict)}
    if path and (leaves or not values):
        yield f"\n[{'.'.join(path)}]"
    for key, value in leaves.items():
        if value is None:
            yield f"# {key} is not set"
        else:
            # JSON's strings, numbers, true/false and flat lists are TOML's too.
            yield f"{key} = {json.dumps(value, ensure_ascii=False)}"
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _table((*path, key), value)
