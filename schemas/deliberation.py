"""What a client asks of a deliberation and what it is told at once."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from schemas.council import MAX_SEATS, Sampling, Seat
from schemas.types import (
    Count,
    EpochMs,
    Line,
    LongText,
    Name,
    Paragraph,
    Priority,
    Seconds,
    TaskId,
    TaskText,
)

ProtocolName = Literal["independent"]
Status = Literal["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"]
FINAL_STATUSES = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED")


class Constraints(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What an answer must respect, and how long the whole deliberation may take."""

    rubric: Paragraph = ""
    requirements: Annotated[tuple[Line, ...], Meta(max_length=32)] = ()
    metadata: Annotated[dict[Name, Line], Meta(max_length=32)] = {}
    timeout_seconds: Seconds = 300.0


class DeliberationRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Ask a council. Client to dispatcher on `deliberation.request`; replied to with `Accepted`.

    With a `task_id` of the caller's own, the same request again is answered the same.
    """

    task_description: TaskText
    role: Name
    task_id: TaskId | None = None
    num_agents: Annotated[int, Meta(ge=1, le=MAX_SEATS)] | None = None
    constraints: Constraints = Constraints()
    protocol: ProtocolName = "independent"
    priority: Priority = 0
    sampling: Sampling = Sampling()
    response_schema: dict[str, Any] | None = None
    context: LongText = ""


class Accepted(Struct, frozen=True, kw_only=True):
    """The request is stored and will end by `deadline_ms`: the durable acknowledgement."""

    task_id: TaskId
    status: Status
    role: Name
    protocol: ProtocolName
    seats: tuple[Name, ...]
    accepted_at_ms: EpochMs
    deadline_ms: EpochMs
    duplicate: bool = False


class Opened(Struct, frozen=True, kw_only=True):
    """The first event of every deliberation, stored once on `deliberation.opened.<task_id>`.

    It holds all that later decisions need, so a council may change while it is being asked.
    """

    task_id: TaskId
    request: DeliberationRequest
    seats: tuple[Seat, ...]
    opened_at_ms: EpochMs
    deadline_ms: EpochMs


class CancelRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End a deliberation now. Replied to with `Cancelled`."""

    task_id: TaskId
    reason: Line = ""


class Cancelled(Struct, frozen=True, kw_only=True):
    """The deliberation is over as CANCELLED and its generations are being aborted."""

    task_id: TaskId
    cancelled_at_ms: EpochMs
    status: Status = "CANCELLED"


class GetQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask what is known of a deliberation; with `author_id`, of that seat's proposal alone."""

    task_id: TaskId
    author_id: Name | None = None


class WaitQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As `GetQuery`, answered when the deliberation is over or `timeout_seconds` have passed."""

    task_id: TaskId
    timeout_seconds: Seconds = 300.0


class ListQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a page of summaries, newest first; `cursor` comes from the page before."""

    status: Status | None = None
    role: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Count | None = None


class StatsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for counts and latencies; there is nothing to say."""
