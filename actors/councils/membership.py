"""Who holds a seat in a council: joining and leaving as pure functions of what is stored.

A program that joins is a `Member`, and its seat stands behind those that the council was made
with, in the order of joining. So whoever asks for the first N seats is asked for the same ones,
and whoever asks for all is heard by the members too. What is opened already is not changed.
"""

import hashlib
import hmac
from typing import Final

from msgspec.structs import replace

from actors.deliberations.responses import MAX_FOREIGN_TEXT
from schemas.council import MAX_SEATS, Council, CouncilJoin, Departed, Joined, Member, Seat
from schemas.errors import Refused
from schemas.version import VERSION
from subjects import names
from subjects.streams import MAX_DELIVERIES, seat_consumer

MISSED_HEARTBEATS: Final = 3
KEPT_DEPARTED: Final = 256
"""Beyond it the open work of those who left first ends at its deadline only."""

MAX_QUEUE: Final = 48


def queue_for(request: CouncilJoin) -> str:
    """The queue of the seat asked for. Raises Refused when the names are too long together."""
    queue = names.seat_queue(request.role, request.seat)
    if len(queue) > MAX_QUEUE:
        text = f"the queue {queue} would be longer than {MAX_QUEUE} characters"
        raise Refused("bad_request", text, "$.seat")
    return queue


def digest(lease: str) -> str:
    """What is stored of a lease: enough to know it again, too little to use it."""
    return hashlib.sha256(lease.encode()).hexdigest()


def member(council: Council | None, seat: str, lease: str) -> Member:
    """The member that holds a seat under this lease. Raises Refused when there is none."""
    members = council.members if council is not None and not council.deleted else ()
    for each in members:
        if each.seat == seat and hmac.compare_digest(each.lease_sha256, digest(lease)):
            return each
    raise Refused("unknown_seat", f"no seat {seat} is held under this lease", "$.seat")


def seated(council: Council, request: CouncilJoin, lease: str, now_ms: int) -> Council:
    """The council with the seat asked for. Raises Refused when it is taken or there is no room.

    A member that comes again under its lease changes nothing.
    """
    for each in council.members:
        if each.seat == request.seat and hmac.compare_digest(each.lease_sha256, digest(lease)):
            return council
    if request.seat in {seat.id for seat in council.seats}:
        text = f"seat {request.seat} of {council.role} is taken"
        raise Refused("conflict", text, "$.seat")
    if len(council.seats) >= MAX_SEATS:
        text = f"council {council.role} has {MAX_SEATS} seats, which is as many as there may be"
        raise Refused("too_many_agents", text, "$.role")
    seat = Seat(
        id=request.seat,
        persona=request.persona or _persona(request),
        queue=queue_for(request),
    )
    joining = Member(
        seat=request.seat,
        capabilities=request.capabilities,
        languages=request.languages,
        max_concurrency=request.max_concurrency,
        heartbeat_seconds=request.heartbeat_seconds,
        joined_at_ms=now_ms,
        lease_sha256=digest(lease),
    )
    return replace(
        council,
        seats=(*council.seats, seat),
        members=(*council.members, joining),
        departed=tuple(each for each in council.departed if each.seat != request.seat),
    )


def _persona(request: CouncilJoin) -> str:
    known = ", ".join(request.capabilities) or "what it brings from outside"
    spoken = f"; works in {', '.join(request.languages)}" if request.languages else ""
    return f"guest who knows {known}{spoken}"[:2_000]


def unseated(council: Council, departed: Departed) -> Council:
    """The council without a member's seat, which is noted as departed."""
    return replace(
        council,
        seats=tuple(seat for seat in council.seats if seat.id != departed.seat),
        members=tuple(each for each in council.members if each.seat != departed.seat),
        departed=(*council.departed, departed)[-KEPT_DEPARTED:],
    )


def shown(council: Council) -> Council:
    """The council as it is told to anybody: without digests of leases."""
    members = tuple(replace(each, lease_sha256="") for each in council.members)
    return replace(council, members=members, departed=())


def joined(council: Council, seat: str, lease: str) -> Joined:
    """All that the program of a seat must know."""
    held = member(council, seat, lease)
    queue = names.seat_queue(council.role, seat)
    consumer = seat_consumer(queue, held.max_concurrency, 0)
    return Joined(
        role=council.role,
        seat=seat,
        lease=lease,
        queue=queue,
        stream=consumer.stream,
        consumer=consumer.durable,
        request_subject=names.agent_request(queue),
        pull_subject=names.next_request(consumer.stream, consumer.durable),
        response_subject=names.ANY_AGENT_RESPONSE.replace("*", "{task_id}"),
        progress_subject=names.ANY_PROGRESS.replace("*", "{task_id}"),
        heartbeat_subject=names.heartbeat(queue),
        heartbeat_seconds=held.heartbeat_seconds,
        missed_heartbeats=MISSED_HEARTBEATS,
        ack_wait_seconds=consumer.ack_wait_s,
        max_deliver=MAX_DELIVERIES,
        max_concurrency=held.max_concurrency,
        max_content_characters=MAX_FOREIGN_TEXT,
        schema_version=VERSION,
        joined_at_ms=held.joined_at_ms,
    )
