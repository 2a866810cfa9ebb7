"""What a seat is asked and what it says, and the events around it."""

from typing import Any

from msgspec.structs import replace

from schemas.agent import AgentRequest, AgentResponse, ChatMessage, SeatFailure, Timing, Usage
from schemas.contract.examples.asking import REQUEST, SUBMITTED
from schemas.contract.examples.example import FIRST, NOW, ROLE, SEATS, SECOND, TASK, TOKEN, said
from schemas.contract.examples.results import REFUSED, REFUSED_TASK
from schemas.council import Sampling
from schemas.deliberation import Opened, RoundOpened
from schemas.progress import SeatAnswered, SeatFailed, SeatStarted, TextDelta
from subjects import names

_SEAT: dict[str, Any] = {"task_id": TASK, "round": 0, "seat": SECOND}
_FAILURE = SeatFailure(code="internal", message="the model did not load")
_USAGE = Usage(prompt_tokens=112, cached_tokens=64, completion_tokens=12)

EXAMPLES = (
    said(
        names.opened(TASK),
        Opened(
            task_id=TASK,
            request=REQUEST,
            seats=SEATS,
            opened_at_ms=NOW,
            deadline_ms=NOW + 120_000,
            secret="7d0f2a86c41e93b5",  # noqa: S106 - of an example
        ),
    ),
    said(
        names.opened(REFUSED_TASK),
        Opened(
            task_id=REFUSED_TASK,
            request=replace(SUBMITTED, task_id=REFUSED_TASK),
            seats=(),
            opened_at_ms=NOW + 4_000,
            deadline_ms=NOW + 300_000,
            submitted_at_ms=NOW,
            refused=REFUSED,
        ),
        "refused",
    ),
    said(
        names.round_opened(TASK),
        RoundOpened(
            task_id=TASK,
            round=1,
            stage="ballot",
            seats=(FIRST, SECOND),
            heard=2,
            opened_at_ms=NOW + 400,
        ),
    ),
    said(
        names.agent_request("node-reviewers"),
        AgentRequest(
            **_SEAT,
            role=ROLE,
            stage="propose",
            messages=(
                ChatMessage(role="system", content="You are a sceptical reviewer."),
                ChatMessage(role="user", content="Add retries to the billing client"),
            ),
            sampling=Sampling(temperature=0.2, seed=7, max_tokens=256),
            created_at_ms=NOW + 2,
            deadline_ms=NOW + 120_000,
            priority=-5,
            response_schema=REQUEST.response_schema,
            token=TOKEN,
        ),
    ),
    said(
        names.agent_response(TASK),
        AgentResponse(
            **_SEAT,
            agent="node-1",
            content="Retry only what is idempotent; give each charge a key.",
            thinking="Charges twice?",
            finish_reason="stop",
            model="reviewer-rules",
            engine="node",
            usage=_USAGE,
            logprob=-0.25,
            timing=Timing(queued_ms=1.5, first_token_ms=20.25, total_ms=310.0),
            created_at_ms=NOW + 350,
            token=TOKEN,
        ),
    ),
    said(
        names.agent_response(TASK),
        AgentResponse(**_SEAT, created_at_ms=NOW + 350, failure=_FAILURE, token=TOKEN),
        "failure",
    ),
    said(
        names.progress(TASK),
        SeatStarted(
            **_SEAT, stage="critique", model="reviewer-rules", engine="node", at_ms=NOW + 4
        ),
    ),
    said(names.progress(TASK), TextDelta(**_SEAT, text=" — idempotent ✓", offset=10)),
    said(names.progress(TASK), SeatAnswered(**_SEAT, usage=_USAGE)),
    said(names.progress(TASK), SeatFailed(**_SEAT, failure=_FAILURE)),
)
