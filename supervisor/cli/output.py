"""What goes to stdout: wire documents for programs, or something readable for people."""

import sys
from typing import Any

from rich.console import Console, RenderableType

from schemas import codec

PLAIN_WIDTH = 110
"""Columns when stdout is no terminal: files and CI logs are read in wide windows."""


def document(message: Any) -> None:
    """Print one message as it is on the wire, on a line of its own."""
    line(codec.encode(message))


def line(body: bytes) -> None:
    """Print a document that is JSON already."""
    sys.stdout.buffer.write(body + b"\n")
    sys.stdout.buffer.flush()


def console() -> Console:
    """Return the console of this process, wide and without colours where stdout is no terminal."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=PLAIN_WIDTH, soft_wrap=False)


def show(*views: RenderableType) -> None:
    """Print views for people."""
    out = console()
    for view in views:
        out.print(view)
