"""What comes out of a deliberation: one ranked result, the same for events and queries."""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.agent import Stage, Timing, Usage
from schemas.deliberation import CountingRule, ProtocolName, Status
from schemas.errors import ErrorBody
from schemas.types import (
    Count,
    EpochMs,
    Fraction,
    Line,
    LongText,
    Name,
    Paragraph,
    RoundNumber,
    TaskId,
)


class Proposal(Struct, frozen=True, kw_only=True):
    """A seat's answer with its provenance. `logprob` is the mean over completion tokens."""

    author_id: Name
    author_role: Name
    content: LongText
    created_at_ms: EpochMs
    revisions: tuple[LongText, ...] = ()
    thinking: LongText = ""
    model: Annotated[str, Meta(max_length=256)] = ""
    engine: Annotated[str, Meta(max_length=64)] = ""
    finish_reason: Annotated[str, Meta(max_length=32)] = ""
    logprob: float | None = None
    usage: Usage = Usage()
    timing: Timing = Timing()


class Ranked(Struct, frozen=True, kw_only=True):
    """A proposal with its place: `rank` 1 is best, `score` lies in 0..1."""

    proposal: Proposal
    score: Fraction
    rank: Annotated[int, Meta(ge=1)]


NOT_NEEDED = "not_needed"
"""The code of a seat cut short because the result no longer depended on its answer."""


class Failure(Struct, frozen=True, kw_only=True):
    """A seat that gave no answer in a round, and why; it stays in the denominator."""

    seat: Name
    code: Annotated[str, Meta(max_length=64)]
    message: Line = ""
    round: RoundNumber = 0


class Quality(Struct, frozen=True, kw_only=True):
    """Measured on content, ids and echoes of the task removed; see `quality.py` of `actors/`.

    `diversity` is 0 for equal proposals (or fewer than two), `relevance` 0 for none of the
    task's content words taken up.
    """

    diversity: Fraction = 0.0
    relevance: Fraction = 0.0


class BallotRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one voter did, labels resolved: `ranking` and `approved` name candidates.

    A candidate is `<author_id>#<round it was written in>`. `labels_seed` drew the voter's labels.
    """

    voter: Name
    ranking: tuple[str, ...] = ()
    approved: tuple[str, ...] = ()
    weight: float = 0.0
    abstained: str = ""
    labels_seed: Count = 0


class TallyRow(Struct, frozen=True, kw_only=True):
    """One distinct answer of a `vote`: how many samples gave it, and their summed confidence."""

    answer: Paragraph
    votes: Count
    weight: float


class StageCost(Struct, frozen=True, kw_only=True):
    """What one round cost. Times are means over its answers, in milliseconds."""

    round: RoundNumber
    stage: Stage
    asked: Count
    answered: Count
    usage: Usage = Usage()
    queued_ms: float = 0.0
    first_token_ms: float = 0.0
    total_ms: float = 0.0
    duration_ms: Count = 0


class SeatCost(Struct, frozen=True, kw_only=True):
    """What one seat cost in one round."""

    seat: Name
    round: RoundNumber
    usage: Usage = Usage()
    timing: Timing = Timing()


class ReferenceCheck(Struct, frozen=True, kw_only=True):
    """How the answers compare to the request's `reference_answer`.

    The oracle gap is what a perfect choice among the answers given would have added.
    """

    winner_correct: bool = False
    oracle_correct: bool = False
    share_correct: Fraction = 0.0


class Deliberation(Struct, frozen=True, kw_only=True):
    """All that is known of a deliberation: partial while it runs, whole once it is over.

    Body of `deliberation.completed|failed|timeout|cancelled` and of `deliberation.get|wait`.
    `truncated` tells that losing proposals' text was left out to fit the server's
    `max_payload`; `deliberation.get` with `author_id` has each of them.
    `heard` answers of the stream, failures included, and `stages` rounds are what it was told from.
    `agreement` is the mean similarity between proposals. `saved_tokens_estimate`: seats cut short
    and samples not drawn, times the mean completion tokens of those that answered.
    `refused` tells why a submission was not deliberated.
    """

    task_id: TaskId
    role: Name
    protocol: ProtocolName
    status: Status
    seats: tuple[Name, ...] = ()
    heard: Count = 0
    results: tuple[Ranked, ...] = ()
    winner_id: Name | None = None
    winner_reason: Paragraph = ""
    created_at_ms: EpochMs = 0
    deadline_ms: EpochMs = 0
    duration_ms: Count = 0
    usage: Usage = Usage()
    quality: Quality = Quality()
    failures: tuple[Failure, ...] = ()
    degraded: bool = False
    truncated: bool = False
    reason: Line = ""
    metadata: dict[Name, Line] = {}
    counting: CountingRule | None = None
    agreement: Fraction = 0.0
    ballots: tuple[BallotRecord, ...] = ()
    tally: tuple[TallyRow, ...] = ()
    stages: tuple[StageCost, ...] = ()
    ledger: tuple[SeatCost, ...] = ()
    saved_tokens_estimate: Count = 0
    reference: ReferenceCheck | None = None
    refused: ErrorBody | None = None


class Summary(Struct, frozen=True, kw_only=True):
    """One line of `deliberation.list`."""

    task_id: TaskId
    role: Name
    status: Status
    created_at_ms: EpochMs
    task_description: Annotated[str, Meta(max_length=120)]
    duration_ms: Count = 0
    winner_id: Name | None = None


class Page(Struct, frozen=True, kw_only=True):
    """Summaries, newest first. `cursor`, when not null, asks for what is older."""

    deliberations: tuple[Summary, ...] = ()
    cursor: Count | None = None


class LatencyMs(Struct, frozen=True, kw_only=True):
    """Percentiles of the time from acceptance to outcome, in milliseconds."""

    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class CouncilStats(Struct, frozen=True, kw_only=True):
    """What one council did inside the window."""

    role: Name
    completed: Count = 0
    failed: Count = 0
    timeout: Count = 0
    cancelled: Count = 0
    seat_failures: Count = 0
    duration: LatencyMs = LatencyMs()
    usage: Usage = Usage()


class AgentStats(Struct, frozen=True, kw_only=True):
    """What one agent process says of itself through NATS service discovery."""

    agent: str
    pool: str = ""
    queues: tuple[str, ...] = ()
    engine: str = ""
    model: str = ""
    slots: Count = 0
    running: Count = 0
    answered: Count = 0
    failed: Count = 0
    aborted: Count = 0
    rejected: Count = 0


class Stats(Struct, frozen=True, kw_only=True):
    """Counts and latencies over the last `window_seconds`, and the agents alive now.

    `responses_refused` counts what seats sent that changed nothing, by the reason why (listed in
    `actors/deliberations/responses.py`); since the collector began, an hour before it included.
    """

    window_seconds: Count
    completed: Count = 0
    failed: Count = 0
    timeout: Count = 0
    cancelled: Count = 0
    duration: LatencyMs = LatencyMs()
    usage: Usage = Usage()
    councils: tuple[CouncilStats, ...] = ()
    agents: tuple[AgentStats, ...] = ()
    responses_refused: dict[str, Count] = {}
