"""What a client asks, and what it is told."""

from typing import Any

from schemas.contract.examples.example import FIRST, NOW, ROLE, SECOND, TASK, reply, said
from schemas.contract.examples.results import (
    COMPLETED,
    FAILED,
    PAGE,
    REFUSED_ROLE,
    RUNNING,
    STATS,
    TRUNCATED,
    VOTE_TASK,
    VOTED,
)
from schemas.council import Sampling
from schemas.deliberation import (
    Accepted,
    Cancelled,
    CancelRequest,
    Constraints,
    DeliberationRequest,
    GetQuery,
    ListQuery,
    RecountQuery,
    StatsQuery,
    WaitQuery,
)
from subjects import names

REQUEST = DeliberationRequest(
    task_description="Add retries to the billing client",
    role=ROLE,
    task_id=TASK,
    num_agents=2,
    constraints=Constraints(
        rubric="fewest moving parts",
        requirements=("no new dependency", "idempotent"),
        metadata={"ticket": "BILL-7"},
        timeout_seconds=120.0,
        seat_timeout_seconds=30.5,
    ),
    quorum=2,
    grace_ms=250,
    priority=-5,
    sampling=Sampling(temperature=0.7, max_tokens=256),
    response_schema={"type": "object", "properties": {"plan": {"type": "string"}}},
    context="The client calls POST /charge; see «Zahlungen» §3. 料金 ✓",
)
VOTE = DeliberationRequest(
    task_description="Is 91 prime? Answer yes or no.",
    role=ROLE,
    task_id=VOTE_TASK,
    protocol="vote",
    samples=8,
    reference_answer="no",
    sampling=Sampling(
        top_p=0.9,
        top_k=40,
        min_p=0.05,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        seed=7,
        stop=("\n\n",),
    ),
)
REVISED = DeliberationRequest(
    task_description="Plan the migration to the new ledger",
    role=ROLE,
    protocol="revised",
    rounds=2,
    counting="confidence",
    closed=True,
)
SUBMITTED = DeliberationRequest(task_description="Name a risk of retries", role=REFUSED_ROLE)
_ACCEPTED: dict[str, Any] = {
    "task_id": TASK,
    "status": "PENDING",
    "role": ROLE,
    "protocol": "ranked",
    "seats": (FIRST, SECOND),
    "accepted_at_ms": NOW,
    "deadline_ms": NOW + 120_000,
}

EXAMPLES = (
    said(names.REQUEST, REQUEST),
    said(names.REQUEST, VOTE, "vote"),
    said(names.REQUEST, REVISED, "revised"),
    reply(names.REQUEST, Accepted(**_ACCEPTED)),
    reply(names.REQUEST, Accepted(**_ACCEPTED, duplicate=True), "duplicate"),
    said(names.CANCEL, CancelRequest(task_id=TASK, reason="asked the wrong council")),
    reply(names.CANCEL, Cancelled(task_id=TASK, cancelled_at_ms=NOW + 900)),
    said(names.GET, GetQuery(task_id=TASK, author_id=SECOND)),
    said(names.WAIT, WaitQuery(task_id=TASK, timeout_seconds=30.0)),
    said(names.RECOUNT, RecountQuery(task_id=TASK, rule="copeland", without=(SECOND,))),
    said(names.COMPLETED, COMPLETED),
    said(names.COMPLETED, VOTED, "vote"),
    said(names.FAILED, FAILED, "failed"),
    reply(names.GET, RUNNING, "running"),
    reply(names.GET, TRUNCATED, "truncated"),
    said(names.LIST, ListQuery(status="COMPLETED", role=ROLE, limit=5)),
    said(names.LIST, ListQuery(status="COMPLETED", role=ROLE, limit=5, cursor=4_705), "older"),
    reply(names.LIST, PAGE),
    said(names.STATS, StatsQuery()),
    reply(names.STATS, STATS),
)
