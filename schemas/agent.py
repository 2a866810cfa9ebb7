"""What an agent is asked and what it answers: one message per seat and round.

An agent needs to know no protocol. It turns `messages` into text and says who wrote it, with
which model, at what cost. Any program in any language can do that.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from schemas.council import Sampling
from schemas.types import (
    MOST,
    Count,
    EpochMs,
    Line,
    LongText,
    Name,
    Priority,
    PromptText,
    RoundNumber,
    TaskId,
)

Stage = Literal["propose", "critique", "revise", "ballot", "synthesize", "answer", "reconsider"]
"""What a seat is asked for in a round; see `actors/protocols/`."""


class ChatMessage(Struct, frozen=True):
    """One turn of the chat a model is shown."""

    role: Literal["system", "user", "assistant"]
    content: PromptText


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens read, of those read from the prefix cache, and written; sums stop at `MOST`."""

    prompt_tokens: Count = 0
    cached_tokens: Count = 0
    completion_tokens: Count = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=min(self.prompt_tokens + other.prompt_tokens, MOST),
            cached_tokens=min(self.cached_tokens + other.cached_tokens, MOST),
            completion_tokens=min(self.completion_tokens + other.completion_tokens, MOST),
        )


Milliseconds = Annotated[float, Meta(ge=0.0, le=1e10)]


class Timing(Struct, frozen=True, kw_only=True):
    """Milliseconds a seat spent waiting for the agent, to its first token, and in all."""

    queued_ms: Milliseconds = 0.0
    first_token_ms: Milliseconds = 0.0
    total_ms: Milliseconds = 0.0


Token = Annotated[str, Meta(max_length=64, description="copy it from request to response")]
"""A request's secret: who sends it back was asked. See `actors/deliberations/tokens.py`."""


class SeatFailure(Struct, frozen=True, kw_only=True):
    """Why a seat gave no answer: a stable code and one sentence."""

    code: Annotated[str, Meta(max_length=64)]
    message: Line = ""


class AgentRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Dispatcher to agent, on `agent.request.<queue>`: at least once, doubles dropped by id."""

    task_id: TaskId
    round: RoundNumber
    seat: Name
    role: Name
    stage: Stage
    messages: Annotated[tuple[ChatMessage, ...], Meta(min_length=1, max_length=64)]
    sampling: Sampling
    created_at_ms: EpochMs
    deadline_ms: EpochMs
    priority: Priority = 0
    response_schema: dict[str, Any] | None = None
    token: Token = ""


class AgentResponse(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Agent to collector, on `agent.response.<task_id>`: the first for a seat and round counts.

    `task_id`, `round`, `seat` and `token` are the request's; without them it counts for nothing.
    `logprob` is the mean log-probability of the completion tokens (natural logarithm).
    """

    task_id: TaskId
    round: RoundNumber
    seat: Name
    agent: Annotated[str, Meta(max_length=128)] = ""
    content: LongText = ""
    thinking: LongText = ""
    finish_reason: Annotated[str, Meta(max_length=32)] = ""
    model: Annotated[str, Meta(max_length=256)] = ""
    engine: Annotated[str, Meta(max_length=64)] = ""
    usage: Usage = Usage()
    logprob: Annotated[float, Meta(ge=-1e6, le=0.0)] | None = None
    timing: Timing = Timing()
    created_at_ms: EpochMs = 0
    failure: SeatFailure | None = None
    token: Token = ""
