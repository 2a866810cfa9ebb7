"""Files named on the command line; `-` is stdin. What is wrong with one is wrong usage."""

import sys
from pathlib import Path

import typer


def read_bytes(file: Path) -> bytes:
    """Return what is in a file. Raises typer.BadParameter."""
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None


def read_text(file: Path) -> str:
    """Return the text in a file. Raises typer.BadParameter."""
    try:
        return read_bytes(file).decode()
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file} is not text in UTF-8") from None
