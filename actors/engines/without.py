"""Importing a library without one of its optional parts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(module: str) -> Iterator[None]:
    """Let `module` look as if it were not installed, unless it is imported already."""
    if module in sys.modules:
        yield
        return
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]
    modules[module] = None  # so documented: importing it raises
    try:
        yield
    finally:
        del modules[module]
