"""What an agent needs of a text generator: the one seam between council and model."""

from collections.abc import AsyncGenerator
from typing import Any, Protocol

from msgspec import Struct

from schemas.agent import ChatMessage, Usage
from schemas.council import Sampling
from schemas.types import Name


class Generation(Struct, frozen=True, kw_only=True):
    """One text to be generated. `request_id` is unique within the engine.

    `deadline_ms` is informative (epoch ms): the agent enforces it by closing the stream.
    """

    request_id: str
    seat: Name
    queue: Name
    messages: tuple[ChatMessage, ...]
    sampling: Sampling
    priority: int = 0
    response_schema: dict[str, Any] | None = None
    deadline_ms: int = 0


class Delta(Struct, frozen=True):
    """The next piece of text; `thinking` marks a reasoning model's private part."""

    text: str
    thinking: bool = False


class Generated(Struct, frozen=True, kw_only=True):
    """The whole text, last in the stream. `logprob` is the mean over completion tokens."""

    content: str
    thinking: str = ""
    finish_reason: str = "stop"
    usage: Usage = Usage()
    logprob: float | None = None
    first_token_ms: float = 0.0
    queued_ms: float = 0.0
    model: str = ""


class GenerationRefused(Exception):
    """The engine will not generate this: prompt too long, schema broken. The seat fails.

    `code` is stable: `prompt_too_long`, `bad_schema`, `bad_sampling`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class EngineDead(Exception):
    """The engine is gone for good: the agent must exit so that it is started anew."""


class Engine(Protocol):
    """Generates text for many seats at once."""

    name: str
    """What kind of engine this is, as told in every response: `vllm`, `scripted`."""
    model: str
    """Name of the model as told in every response."""

    def generate(self, generation: Generation) -> AsyncGenerator[Delta | Generated, None]:
        """Stream pieces of text, then one `Generated`.

        Closing the iterator aborts the generation in the engine.
        Raises GenerationRefused for what cannot be generated, EngineDead when it is gone.
        """
        ...

    async def check(self) -> None:
        """Return if the engine is alive, else raise EngineDead."""
        ...

    def aborted(self) -> int:
        """How many generations were aborted before their end."""
        ...

    async def close(self) -> None:
        """Release everything; no generation may follow."""
        ...
