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
    sys.modules[module] = None  # type: ignore[assignment] -- so documented: import raises
    try:
        yield
    finally:
        del sys.modules[module]
