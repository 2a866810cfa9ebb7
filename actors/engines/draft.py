"""One text in the making, from vLLM's outputs, and what it cost. Does not import vllm."""

import time
from collections.abc import Iterator
from typing import Any

from actors.engines.engine import Delta, Generated
from actors.engines.thinking import Splitter
from schemas.agent import Usage


class Draft:
    """One text in the making, and what it cost."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._content: list[str] = []
        self._thinking: list[str] = []
        self._written = 0
        self._first_token_ms = 0.0
        self._last: Any = None

    @property
    def complete(self) -> bool:
        """Whether vLLM has ended this text by itself."""
        return self._last is not None and bool(self._last.finished)

    def take(self, output: Any, splitter: Splitter) -> Iterator[Delta]:
        """Count one output of vLLM and yield its text."""
        self._last = output
        piece = output.outputs[0]
        if piece.token_ids and not self._written:
            self._first_token_ms = (time.monotonic() - self._started) * 1000
        self._written += len(piece.token_ids)
        for delta in splitter.feed(piece.text, piece.token_ids, output.finished):
            (self._thinking if delta.thinking else self._content).append(delta.text)
            yield delta

    def finished(self, model: str, prompt_tokens: int) -> Generated:
        """Sum up. vLLM's log-probabilities are the model's own, before temperature and grammar."""
        piece, times = self._last.outputs[0], self._last.metrics
        total = piece.cumulative_logprob
        return Generated(
            content="".join(self._content),
            thinking="".join(self._thinking),
            finish_reason=piece.finish_reason or "stop",
            usage=Usage(
                prompt_tokens=prompt_tokens,
                cached_tokens=self._last.num_cached_tokens or 0,
                completion_tokens=self._written,
            ),
            logprob=min(0.0, total / self._written)
            if total is not None and self._written
            else None,
            first_token_ms=self._first_token_ms,
            queued_ms=max(0.0, times.scheduled_ts - times.queued_ts) * 1000 if times else 0.0,
            model=model,
        )
