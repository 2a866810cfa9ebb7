"""Keep a reasoning model's private thinking apart from what it answers, while it streams.

Models of the Qwen3 family write `<think>…</think>` before the answer; some chat templates open the
block already in the prompt. A tag may come in pieces, so text that could be the beginning of one is
held back until it is clear.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from actors.engines.engine import Delta

OPEN: Final = "<think>"
CLOSE: Final = "</think>"


class Splitter(Protocol):
    """Sorts streamed text of one generation into thinking and answer."""

    def feed(self, text: str, tokens: Sequence[int], last: bool) -> Iterator[Delta]:
        """Yield what is clear after this piece; after the `last` one nothing is held back."""
        ...


class Plain:
    """For models that do not think aloud: everything is answer."""

    def feed(self, text: str, tokens: Sequence[int], last: bool) -> Iterator[Delta]:
        """Yield the text as it is."""
        del tokens, last
        if text:
            yield Delta(text)


class ThinkTags:
    """For `<think>…</think>` at the start of the text; `opened` when the prompt ends inside it.

    Blank lines after either tag belong to neither part and are dropped.
    """

    def __init__(self, opened: bool) -> None:
        self._thinking = opened
        self._decided = opened
        self._fresh = True
        self._held = ""

    def feed(self, text: str, tokens: Sequence[int], last: bool) -> Iterator[Delta]:
        """Yield thinking until the closing tag, then answer."""
        del tokens
        self._held += text
        if not self._decided and not self._opens(last):
            return
        if self._thinking:
            before, closed, after = self._held.partition(CLOSE)
            if not closed:
                keep = 0 if last else _overlap(before, CLOSE)
                yield from self._emit(before[: len(before) - keep])
                self._held = before[len(before) - keep :]
                return
            yield from self._emit(before.rstrip())
            self._thinking, self._fresh, self._held = False, True, after
        yield from self._emit(self._held)
        self._held = ""

    def _opens(self, last: bool) -> bool:
        """Decide whether the text begins with a thinking block; False when it is not clear yet."""
        start = self._held.lstrip()
        if start.startswith(OPEN):
            self._thinking, self._held = True, start[len(OPEN) :]
        elif not last and OPEN.startswith(start):
            return False
        self._decided = True
        return True

    def _emit(self, text: str) -> Iterator[Delta]:
        if self._fresh:
            text = text.lstrip("\n")
        if text:
            self._fresh = False
            yield Delta(text, thinking=self._thinking)


def _overlap(text: str, tag: str) -> int:
    """Count the characters at the end of `text` that may be the beginning of `tag`."""
    sizes = range(min(len(text), len(tag) - 1), 0, -1)
    return next((size for size in sizes if text.endswith(tag[:size])), 0)
