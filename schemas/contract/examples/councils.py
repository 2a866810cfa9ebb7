"""Councils, and a foreign program that takes a seat in one."""

from schemas.contract.examples.example import NOW, reply, said
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

_ROLE = "LEGAL"  # none of the councils that a new system has: an example can be tried
_LEASE = "4e8d0c1b7a6f5932"
_GUEST = "node-guest"
_QUEUE = names.seat_queue(_ROLE, _GUEST)

_SEATS = (
    Seat(id="counsel", persona="careful lawyer who names the clause"),
    Seat(
        id="opponent",
        persona="lawyer of the other side — naïve readings first",
        sampling=Sampling(temperature=0.2, seed=7, stop=("\n\n",)),
    ),
)
COUNCIL = Council(
    role=_ROLE,
    seats=(*_SEATS, Seat(id=_GUEST, persona="guest who knows licences", queue=_QUEUE)),
    description="contracts and licences",
    created_at_ms=NOW,
    members=(
        Member(
            seat=_GUEST,
            capabilities=("licences",),
            languages=("en", "de"),
            max_concurrency=4,
            heartbeat_seconds=2.5,
            joined_at_ms=NOW,
            lease_sha256="9c" * 32,
        ),
    ),
    departed=(
        Departed(
            seat="gone",
            queue=names.seat_queue(_ROLE, "gone"),
            after=4_096,
            left_at_ms=NOW,
            code="seat_lost",
        ),
    ),
)

EXAMPLES = (
    said(
        names.COUNCIL_CREATE,
        CouncilCreate(role=_ROLE, seats=_SEATS, description="contracts and licences"),
    ),
    said(names.COUNCIL_GET, CouncilQuery(role=_ROLE)),
    said(names.COUNCIL_LIST, CouncilListQuery()),
    reply(names.COUNCIL_CREATE, COUNCIL),
    reply(
        names.COUNCIL_DELETE,
        Council(role=_ROLE, seats=_SEATS, created_at_ms=NOW, deleted=True, deleted_at_ms=NOW),
        "deleted",
    ),
    reply(names.COUNCIL_LIST, CouncilList(councils=(COUNCIL,), total=1)),
    said(
        names.COUNCIL_JOIN,
        CouncilJoin(
            role=_ROLE,
            seat=_GUEST,
            persona="guest who knows licences",
            capabilities=("licences",),
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
            role=_ROLE,
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
            ack_wait_seconds=5.0,
            max_deliver=5,
            max_concurrency=4,
            max_content_characters=100_000,
            schema_version=VERSION,
            joined_at_ms=NOW,
        ),
    ),
    said(names.heartbeat(_QUEUE), Heartbeat(role=_ROLE, seat=_GUEST, lease=_LEASE)),
    reply(names.heartbeat(_QUEUE), Alive(role=_ROLE, seat=_GUEST, within_seconds=7.5)),
    said(names.COUNCIL_LEAVE, CouncilLeave(role=_ROLE, seat=_GUEST, lease=_LEASE)),
    reply(names.COUNCIL_LEAVE, Left(role=_ROLE, seat=_GUEST, left_at_ms=NOW + 9_000, failed=1)),
)
