"""Councils, and a foreign program that takes a seat in one."""

from schemas.contract.examples.example import FIRST, NOW, ROLE, SECOND, reply, said
from schemas.council import (
    Alive,
    Council,
    CouncilCreate,
    CouncilJoin,
    CouncilLeave,
    CouncilList,
    CouncilListQuery,
    CouncilQuery,
    Departed,
    Heartbeat,
    Joined,
    Left,
    Member,
    Sampling,
    Seat,
)
from schemas.version import VERSION
from subjects import names

_LEASE = "4e8d0c1b7a6f5932"
_GUEST = "node-guest"
_QUEUE = names.seat_queue(ROLE, _GUEST)

SEATS = (
    Seat(id=FIRST, persona="pragmatic implementer who wants the smallest change"),
    Seat(
        id=SECOND,
        persona="sceptical reviewer who looks for failure paths — naïve retries first",
        queue="node-reviewers",
        sampling=Sampling(temperature=0.2, seed=7, stop=("\n\n",)),
    ),
)
COUNCIL = Council(
    role=ROLE,
    seats=(*SEATS, Seat(id=_GUEST, persona="guest who knows payments", queue=_QUEUE)),
    description="application code",
    created_at_ms=NOW,
    members=(
        Member(
            seat=_GUEST,
            capabilities=("payments",),
            languages=("en", "de"),
            max_concurrency=4,
            heartbeat_seconds=2.5,
            joined_at_ms=NOW,
            lease_sha256="9c" * 32,
        ),
    ),
    departed=(
        Departed(
            seat="gone", queue="seat-3-DEV-gone", after=4_096, left_at_ms=NOW, code="seat_lost"
        ),
    ),
)

EXAMPLES = (
    said(
        names.COUNCIL_CREATE,
        CouncilCreate(role=ROLE, seats=SEATS, description="application code"),
    ),
    said(names.COUNCIL_GET, CouncilQuery(role=ROLE)),
    said(names.COUNCIL_LIST, CouncilListQuery()),
    reply(names.COUNCIL_CREATE, COUNCIL),
    reply(
        names.COUNCIL_DELETE,
        Council(role=ROLE, seats=SEATS, created_at_ms=NOW, deleted=True),
        "deleted",
    ),
    reply(names.COUNCIL_LIST, CouncilList(councils=(COUNCIL,), total=1)),
    said(
        names.COUNCIL_JOIN,
        CouncilJoin(
            role=ROLE,
            seat=_GUEST,
            persona="guest who knows payments",
            capabilities=("payments",),
            languages=("en", "de"),
            max_concurrency=4,
            heartbeat_seconds=2.5,
            lease=_LEASE,
            create=True,
        ),
    ),
    reply(
        names.COUNCIL_JOIN,
        Joined(
            role=ROLE,
            seat=_GUEST,
            lease=_LEASE,
            queue=_QUEUE,
            stream="DELIBERATIONS",
            consumer=f"agent-{_QUEUE}",
            request_subject=names.agent_request(_QUEUE),
            pull_subject=f"$JS.API.CONSUMER.MSG.NEXT.DELIBERATIONS.agent-{_QUEUE}",
            response_subject="agent.response.{task_id}",
            progress_subject="deliberation.progress.{task_id}",
            heartbeat_subject=names.heartbeat(_QUEUE),
            heartbeat_seconds=2.5,
            missed_heartbeats=3,
            ack_wait_seconds=10.0,
            max_deliver=5,
            max_concurrency=4,
            max_content_characters=100_000,
            schema_version=VERSION,
            joined_at_ms=NOW,
        ),
    ),
    said(names.heartbeat(_QUEUE), Heartbeat(role=ROLE, seat=_GUEST, lease=_LEASE)),
    reply(names.heartbeat(_QUEUE), Alive(role=ROLE, seat=_GUEST, within_seconds=7.5)),
    said(names.COUNCIL_LEAVE, CouncilLeave(role=ROLE, seat=_GUEST, lease=_LEASE)),
    reply(names.COUNCIL_LEAVE, Left(role=ROLE, seat=_GUEST, left_at_ms=NOW + 9_000, failed=1)),
)
