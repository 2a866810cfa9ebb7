"""Text written by models and strangers, made fit for a terminal; figures, made fit for people."""

import re
import time

from rich.text import Text

from schemas.agent import Usage

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Everything that moves a cursor, changes a colour or turns the writing direction."""

_SECOND_MS = 1_000
_MINUTE_MS = 60_000


def plain(text: str) -> str:
    """Return `text` without the characters by which it could command a terminal."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def body(text: str, style: str = "") -> Text:
    """Return foreign text for rich: no control characters, no markup, no highlighting."""
    return Text(plain(text).strip(), style=style)


def one_line(text: str, width: int) -> str:
    """Return the beginning of `text` on one line of at most `width` characters."""
    flat = " ".join(plain(text).split())
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + "…"


def tail(text: str, width: int) -> str:
    """Return the end of `text` on one line of at most `width` characters: where it is written."""
    flat = " ".join(plain(text[-4 * width :]).split())
    return flat if len(flat) <= width else "…" + flat[-(width - 1) :].lstrip()


def duration(ms: float) -> str:
    """Return a time as people read it: `840 ms`, `4.2 s`, `2 min 05 s`."""
    if ms < _SECOND_MS:
        return f"{ms:.0f} ms"
    if ms < _MINUTE_MS:
        return f"{ms / _SECOND_MS:.1f} s"
    minutes, seconds = divmod(round(ms / _SECOND_MS), 60)
    return f"{minutes} min {seconds:02d} s"


def tokens(usage: Usage) -> str:
    """Return token counts as `prompt / cached / completion`."""
    return f"{usage.prompt_tokens:,} / {usage.cached_tokens:,} / {usage.completion_tokens:,}"


def model(name: str, engine: str) -> str:
    """Return who wrote: a model on an engine, or an engine without a model."""
    return plain(name if name == engine else f"{name} on {engine}")


def clock(epoch_ms: int) -> str:
    """Return a moment in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch_ms / 1_000))
