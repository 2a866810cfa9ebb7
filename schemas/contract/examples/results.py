"""What comes out of the deliberation that `examples` tells: its result, and lists of such."""

from msgspec.structs import replace

from schemas.agent import Timing, Usage
from schemas.contract.examples.example import FIRST, NOW, ROLE, SECOND, TASK
from schemas.errors import ErrorBody
from schemas.result import (
    AgentStats,
    BallotRecord,
    CouncilStats,
    Deliberation,
    Failure,
    LatencyMs,
    Page,
    Proposal,
    Quality,
    Ranked,
    ReferenceCheck,
    SeatCost,
    StageCost,
    Stats,
    Summary,
    TallyRow,
)

VOTE_TASK = "prime-91"
REFUSED_TASK = "sales-1"
REFUSED_ROLE = "SALES"
REFUSED = ErrorBody(
    code="unknown_role",
    message="no council 'SALES'; there are: ARCHITECT, DATA, DEV, DEVOPS, QA",
    path="$.role",
)
_USAGE = Usage(prompt_tokens=112, cached_tokens=64, completion_tokens=12)
_TIMING = Timing(queued_ms=1.5, first_token_ms=20.25, total_ms=310.0)

PROPOSALS = (
    Proposal(
        author_id=SECOND,
        author_role=ROLE,
        content="Retry only what is idempotent; give each charge a key.",
        created_at_ms=NOW + 350,
        revisions=("Retry what is idempotent.",),
        thinking="Charges twice?",
        model="reviewer-rules",
        engine="node",
        finish_reason="stop",
        logprob=-0.25,
        usage=_USAGE,
        timing=_TIMING,
    ),
    Proposal(
        author_id=FIRST,
        author_role=ROLE,
        content="Keep it modest: three attempts with backoff — «genügt».",
        created_at_ms=NOW + 380,
        model="conclave-nano",
        engine="vllm",
        finish_reason="length",
        usage=_USAGE,
        timing=_TIMING,
    ),
)
COMPLETED = Deliberation(
    task_id=TASK,
    role=ROLE,
    protocol="ranked",
    status="COMPLETED",
    seats=(FIRST, SECOND),
    results=(
        Ranked(proposal=PROPOSALS[0], score=1.0, rank=1),
        Ranked(proposal=PROPOSALS[1], score=0.0, rank=2),
    ),
    winner_id=SECOND,
    winner_reason="borda 1.00 over 1 of 2 ballots, next is agent-dev-001 with 0.00",
    created_at_ms=NOW,
    deadline_ms=NOW + 120_000,
    duration_ms=497,
    usage=Usage(prompt_tokens=336, cached_tokens=192, completion_tokens=44),
    quality=Quality(diversity=0.75, relevance=0.5),
    failures=(Failure(seat=SECOND, code="internal", message="no ballot in it", round=1),),
    metadata={"ticket": "BILL-7"},
    counting="borda",
    agreement=0.25,
    ballots=(
        BallotRecord(
            voter=FIRST,
            ranking=(f"{SECOND}#0",),
            approved=(f"{SECOND}#0",),
            weight=1.0,
            labels_seed=7,
        ),
        BallotRecord(voter=SECOND, abstained="no ballot in it"),
    ),
    stages=(
        StageCost(
            round=0,
            stage="propose",
            asked=2,
            answered=2,
            usage=_USAGE,
            queued_ms=1.5,
            first_token_ms=20.25,
            total_ms=310.0,
            duration_ms=380,
        ),
        StageCost(round=1, stage="ballot", asked=2, answered=1, total_ms=96.5, duration_ms=110),
    ),
    ledger=(SeatCost(seat=SECOND, round=0, usage=_USAGE, timing=_TIMING),),
    saved_tokens_estimate=20,
    heard=4,
)
TRUNCATED = replace(
    COMPLETED,
    results=(
        COMPLETED.results[0],
        Ranked(proposal=replace(PROPOSALS[1], content=""), score=0.0, rank=2),
    ),
    truncated=True,
)
_NO, _YES = (
    Proposal(
        author_id=FIRST,
        author_role=ROLE,
        content=content,
        created_at_ms=NOW + 120,
        model="conclave-nano",
        engine="vllm",
        finish_reason="stop",
        usage=_USAGE,
        timing=_TIMING,
    )
    for content in ("91 is 7 times 13.\nanswer: No.", "It looks prime.\nanswer: yes")
)
VOTED = Deliberation(
    task_id=VOTE_TASK,
    role=ROLE,
    protocol="vote",
    status="COMPLETED",
    seats=(FIRST, SECOND),
    results=(Ranked(proposal=_NO, score=0.75, rank=1), Ranked(proposal=_YES, score=0.25, rank=2)),
    winner_id=FIRST,
    winner_reason="answer 'no': 3 of 4 samples, 75% of their weight",
    created_at_ms=NOW,
    deadline_ms=NOW + 300_000,
    duration_ms=640,
    usage=Usage(prompt_tokens=448, cached_tokens=256, completion_tokens=48),
    quality=Quality(diversity=0.5),
    failures=tuple(
        Failure(seat=SECOND, code="internal", message="the model did not load", round=each)
        for each in range(4)
    ),
    degraded=True,
    tally=(TallyRow(answer="no", votes=3, weight=3.0), TallyRow(answer="yes", votes=1, weight=1.0)),
    reference=ReferenceCheck(winner_correct=True, oracle_correct=True, share_correct=0.75),
    heard=8,
)
FAILED = Deliberation(
    task_id=REFUSED_TASK,
    role=REFUSED_ROLE,
    protocol="ranked",
    status="FAILED",
    created_at_ms=NOW,
    deadline_ms=NOW + 300_000,
    duration_ms=4_001,
    reason=f"{REFUSED.code}: {REFUSED.message}",
    refused=REFUSED,
)
RUNNING = Deliberation(
    task_id=TASK,
    role=ROLE,
    protocol="ranked",
    status="IN_PROGRESS",
    seats=(FIRST, SECOND),
    results=(Ranked(proposal=PROPOSALS[1], score=0.0, rank=1),),
    created_at_ms=NOW,
    deadline_ms=NOW + 120_000,
    duration_ms=390,
    usage=_USAGE,
    metadata={"ticket": "BILL-7"},
)
PAGE = Page(
    deliberations=(
        Summary(
            task_id=TASK,
            role=ROLE,
            status="COMPLETED",
            created_at_ms=NOW,
            task_description="Add retries to the billing client",
            duration_ms=497,
            winner_id=SECOND,
        ),
    ),
    cursor=4_705,
)
_LATENCY = LatencyMs(p50=480.0, p90=512.5, p99=2_040.0, max=2_040.0)
STATS = Stats(
    window_seconds=3_600,
    completed=41,
    failed=1,
    timeout=2,
    cancelled=3,
    duration=_LATENCY,
    usage=Usage(prompt_tokens=15_000, cached_tokens=9_000, completion_tokens=4_100),
    councils=(
        CouncilStats(
            role=ROLE,
            completed=41,
            failed=1,
            timeout=2,
            cancelled=3,
            seat_failures=4,
            duration=_LATENCY,
            usage=_USAGE,
        ),
    ),
    agents=(
        AgentStats(
            agent="agent-default-0",
            pool="default",
            queues=("DEV", "QA"),
            engine="vllm",
            model="conclave-nano",
            slots=64,
            running=2,
            answered=123,
            failed=3,
            aborted=17,
            rejected=1,
        ),
    ),
    responses_refused={"late": 2},
)
