"""What a client asks of a deliberation and what it is told at once."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from schemas.agent import Stage
from schemas.council import MAX_SEATS, Sampling, Seat
from schemas.errors import ErrorBody
from schemas.types import (
    Count,
    EpochMs,
    Line,
    LongText,
    Name,
    Paragraph,
    Priority,
    RoundNumber,
    Seconds,
    TaskId,
    TaskText,
)

ProtocolName = Literal["independent", "ranked", "revised", "synthesized", "vote"]
CountingRule = Literal["borda", "copeland", "approval", "plurality", "confidence"]
Status = Literal["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"]
FINAL_STATUSES = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED")


class Constraints(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What an answer must respect, and how long the deliberation and each round may take.

    A seat silent for `seat_timeout_seconds` in a round abstains; the deliberation goes on.
    """

    rubric: Paragraph = ""
    requirements: Annotated[tuple[Line, ...], Meta(max_length=32)] = ()
    metadata: Annotated[dict[Name, Line], Meta(max_length=32)] = {}
    timeout_seconds: Seconds = 300.0
    seat_timeout_seconds: Seconds | None = None


class DeliberationRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Ask a council. Client to dispatcher on `deliberation.request`; replied to with `Accepted`.

    With a `task_id` of the caller's own, the same request again is answered the same. `closed`
    asks for one short value on an `answer:` line, as the protocol `vote` always does.
    """

    task_description: TaskText
    role: Name
    task_id: TaskId | None = None
    num_agents: Annotated[int, Meta(ge=1, le=MAX_SEATS)] | None = None
    constraints: Constraints = Constraints()
    protocol: ProtocolName = "ranked"
    rounds: Annotated[int, Meta(ge=1, le=8, description="of critique and revision")] = 1
    counting: CountingRule = "borda"
    quorum: Annotated[int, Meta(ge=1, le=MAX_SEATS, description="answers a round needs")] | None = (
        None
    )
    grace_ms: Annotated[int, Meta(ge=0, le=3_600_000, description="after the quorum")] = 0
    closed: bool = False
    samples: Annotated[int, Meta(ge=1, le=256, description="of `vote`, at most")] | None = None
    reference_answer: Line | None = None
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
    `submitted_at_ms`: when it was handed in on `deliberation.submit.<task_id>`, by the server's
    clock. A submission that cannot be deliberated is opened all the same, as `refused` and with
    no seats, so that it too has its one outcome.
    """

    task_id: TaskId
    request: DeliberationRequest
    seats: tuple[Seat, ...]
    opened_at_ms: EpochMs
    deadline_ms: EpochMs
    submitted_at_ms: EpochMs | None = None
    refused: ErrorBody | None = None
    secret: Annotated[str, Meta(max_length=64, description="of the requests' tokens")] = ""

    @property
    def asked_at_ms(self) -> int:
        """When the client's words were stored: from there durations and the deadline count."""
        return self.opened_at_ms if self.submitted_at_ms is None else self.submitted_at_ms


class RoundOpened(Struct, frozen=True, kw_only=True):
    """A further round began; stored by the collector on `deliberation.round.<task_id>`.

    It follows from the first `heard` answers of the stream, so everybody who reads it builds the
    same prompts.
    """

    task_id: TaskId
    round: RoundNumber
    stage: Stage
    seats: tuple[Name, ...]
    heard: Count
    opened_at_ms: EpochMs


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


class RecountQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Count the ballots of a finished deliberation again: another rule, or without some seats.

    Answered from the stored events; no model is asked and nothing is stored.
    """

    task_id: TaskId
    rule: CountingRule | None = None
    without: Annotated[tuple[Name, ...], Meta(max_length=MAX_SEATS)] = ()


class ListQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a page of summaries, newest first; `cursor` comes from the page before."""

    status: Status | None = None
    role: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Count | None = None


class StatsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for counts and latencies; there is nothing to say."""
