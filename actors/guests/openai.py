"""An OpenAI-compatible endpoint as the engine of a seat: chat completions, streamed.

This is the one place that speaks HTTP, at the edge and in the guest's own process. It needs the
extra `openai` (the client library of that name), which is imported when such a seat starts.
"""

import time
from collections.abc import AsyncGenerator
from importlib import import_module
from typing import Any, Final

from actors.deliberations.responses import MAX_FOREIGN_TEXT
from actors.engines.engine import Delta, Generated, Generation, GenerationRefused
from actors.guests.plain_text import checked
from schemas.agent import Usage

SILENCE_S: Final = 60.0
"""How long the endpoint may send nothing; the request's deadline ends it in any case."""

_OURS = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens", "seed")
_BEYOND = ("top_k", "min_p")
"""Sampling that OpenAI's own service refuses and others understand: sent only when asked for."""


class OpenAIMissing(Exception):
    """The client library is not installed."""

    def __init__(self) -> None:
        super().__init__("the library `openai` is not installed: `pip install 'conclave[openai]'`")


class OpenAIEngine:
    """See the module. `url` ends in `/v1`; Engine says what the rest is.

    Raises OpenAIMissing. Without `logprobs` an answer has no log-probability; few services
    refuse it.
    """

    name = "openai"

    def __init__(self, url: str, model: str, api_key: str = "", *, logprobs: bool = False) -> None:
        try:
            self._openai: Any = import_module("openai")
        except ImportError:
            raise OpenAIMissing from None
        self.model = model[:256]
        self._model = model
        self._logprobs = logprobs
        self._aborted = 0
        self._client = self._openai.AsyncOpenAI(
            base_url=url, api_key=api_key or "none", timeout=SILENCE_S
        )

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta | Generated, None]:
        """Stream the completion. Closing the iterator closes the connection, which ends it there.

        Raises GenerationRefused, with the HTTP status where there was one.
        """
        said = _Said()
        complete = False
        try:
            stream = await self._client.chat.completions.create(**self._asked(generation))
            async with stream:
                async for chunk in stream:
                    for delta in said.heard(chunk):
                        yield delta
            complete = True
        except GenerationRefused:
            complete = True
            raise
        except self._openai.OpenAIError as error:
            complete = True
            raise _refused(self._openai, error) from None
        finally:
            self._aborted += not complete
        yield Generated(
            content=checked("".join(said.content), generation),
            thinking="".join(said.thinking),
            finish_reason=said.finish_reason,
            usage=said.usage,
            logprob=said.logprob,
            first_token_ms=said.first_token_ms,
            model=said.model or self.model,
        )

    def _asked(self, generation: Generation) -> dict[str, Any]:
        sampling = generation.sampling
        asked: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": m.role, "content": m.content} for m in generation.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "logprobs": self._logprobs or None,
            "extra_body": {name: getattr(sampling, name) for name in _BEYOND},
        }
        asked |= {name: getattr(sampling, name) for name in _OURS}
        asked["extra_body"] = {k: v for k, v in asked["extra_body"].items() if v is not None}
        if sampling.stop:
            asked["stop"] = list(sampling.stop)
        if generation.response_schema is not None:
            shape = {"name": "answer", "schema": generation.response_schema, "strict": True}
            asked["response_format"] = {"type": "json_schema", "json_schema": shape}
        return {name: value for name, value in asked.items() if value is not None}

    async def check(self) -> None:
        """Return: an endpoint that is gone fails the seats asked for, and may be back."""

    def aborted(self) -> int:
        """How many completions were left before their end."""
        return self._aborted

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class _Said:
    """What the chunks of one completion have said."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.thinking: list[str] = []
        self.finish_reason = "stop"
        self.model = ""
        self.usage = Usage()
        self.first_token_ms = 0.0
        self._begun_s = time.monotonic()
        self._size = self._tokens = 0
        self._logprobs = 0.0

    @property
    def logprob(self) -> float | None:
        """The mean over completion tokens, None when the service told none."""
        return min(self._logprobs / self._tokens, 0.0) if self._tokens else None

    def heard(self, chunk: Any) -> list[Delta]:
        """Take note of a chunk; return the text in it. Raises GenerationRefused."""
        self.model = (chunk.model or self.model)[:256]
        if chunk.usage is not None:
            details = chunk.usage.prompt_tokens_details
            self.usage = Usage(
                prompt_tokens=chunk.usage.prompt_tokens,
                cached_tokens=(details.cached_tokens or 0) if details else 0,
                completion_tokens=chunk.usage.completion_tokens,
            )
        deltas: list[Delta] = []
        for choice in chunk.choices:
            self.finish_reason = choice.finish_reason or self.finish_reason
            thought = getattr(choice.delta, "reasoning_content", None) or getattr(
                choice.delta, "reasoning", None
            )
            deltas += [self._add(self.thinking, thought, thinking=True)] if thought else []
            if choice.delta.content:
                deltas.append(self._add(self.content, choice.delta.content, thinking=False))
            for token in (choice.logprobs.content or ()) if choice.logprobs else ():
                self._logprobs += token.logprob
                self._tokens += 1
        return deltas

    def _add(self, to: list[str], text: str, *, thinking: bool) -> Delta:
        self.first_token_ms = self.first_token_ms or (time.monotonic() - self._begun_s) * 1000
        self._size += len(text)
        if self._size > MAX_FOREIGN_TEXT:
            told = f"the endpoint wrote more than {MAX_FOREIGN_TEXT} characters"
            raise GenerationRefused("answer_too_large", told)
        to.append(text)
        return Delta(text, thinking=thinking)


def _refused(openai: Any, error: Exception) -> GenerationRefused:
    """The reason in the library's words, shortened; a service's error text is not a secret."""
    if isinstance(error, openai.APITimeoutError):
        return GenerationRefused("endpoint_silent", f"nothing came for {SILENCE_S:g} s")
    if isinstance(error, openai.APIConnectionError):
        return GenerationRefused("endpoint_unreachable", str(error.__cause__ or error)[:500])
    if isinstance(error, openai.APIStatusError):
        return GenerationRefused(f"http_{error.status_code}", str(error.message)[:500])
    return GenerationRefused("endpoint_error", str(error)[:500])
