"""Opening a deliberation: from what a client asked to the first event, or to the reason why not.

Pure: time, ids and secrets are given.
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from actors.settings import Limits
from schemas.codec import decode, encode
from schemas.council import Council, Seat
from schemas.deliberation import Accepted, DeliberationRequest, Opened
from schemas.errors import BadMessage, Refused
from schemas.types import EpochMs, Name, TaskId

MAX_SCHEMA_BYTES = 16_384
MAX_SCHEMA_DEPTH = 64
"""Deeper nesting would decode in one actor and pass Python's recursion limit in another."""

SHOWN = 1_000
"""Characters of a submission that does not decode, shown as the task that it was to be."""

NO_COUNCIL = "none"
"""The role of a submission that names none, or none that can be read."""


class Birth(Struct, frozen=True, kw_only=True):
    """What an opening takes from its moment. `submitted_at_ms`: the deadline counts from there."""

    task_id: TaskId
    secret: str
    now_ms: EpochMs
    submitted_at_ms: EpochMs | None = None


class _Named(Struct, frozen=True):
    role: Name


def opened(request: DeliberationRequest, council: Council, limits: Limits, birth: Birth) -> Opened:
    """The first event of a deliberation. Raises Refused when the council cannot be asked this."""
    if request.response_schema is not None:
        check_schema(request.response_schema)
    if request.constraints.timeout_seconds > limits.max_timeout_seconds:
        raise Refused(
            "bad_request",
            f"timeout_seconds is over the limit of {limits.max_timeout_seconds:g}",
            "$.constraints.timeout_seconds",
        )
    seats = seats_for(request, council)
    if request.quorum is not None and request.quorum > len(seats):
        text = f"a quorum of {request.quorum} cannot be reached with {len(seats)} seats"
        raise Refused("bad_request", text, "$.quorum")
    if request.samples is not None and request.samples < len(seats):
        text = f"{request.samples} samples are fewer than the {len(seats)} seats asked"
        raise Refused("bad_request", text, "$.samples")
    return _opened(request, seats, birth)


def refused(body: bytes, request: DeliberationRequest | None, why: Refused, birth: Birth) -> Opened:
    """The first event of a submission that will not be deliberated: nobody is asked.

    `request` is None when the body could not be decoded; then its beginning stands for the task.
    """
    if request is None:
        text = body[:SHOWN].decode(errors="replace").strip() or "(empty)"
        request = DeliberationRequest(task_description=text, role=_role_in(body))
    request = replace(request, task_id=birth.task_id)
    if request.response_schema is not None:
        try:
            check_schema(request.response_schema)
        except Refused:
            request = replace(request, response_schema=None)  # it could not be read elsewhere
    return replace(_opened(request, (), birth), refused=why.body)


def _opened(request: DeliberationRequest, seats: tuple[Seat, ...], birth: Birth) -> Opened:
    begun_ms = birth.now_ms if birth.submitted_at_ms is None else birth.submitted_at_ms
    return Opened(
        task_id=birth.task_id,
        request=request,
        seats=seats,
        opened_at_ms=birth.now_ms,
        deadline_ms=begun_ms + int(request.constraints.timeout_seconds * 1000),
        submitted_at_ms=birth.submitted_at_ms,
        secret=birth.secret,
    )


def _role_in(body: bytes) -> str:
    try:
        return decode(_Named, body).role
    except BadMessage:
        return NO_COUNCIL


def check_schema(schema: dict[str, Any]) -> None:
    """Refuse a schema that is too long or too deep for the messages it will travel in."""
    size = len(encode(schema))
    if size > MAX_SCHEMA_BYTES:
        text = f"{size} bytes are over the limit of {MAX_SCHEMA_BYTES} bytes"
        raise Refused("bad_request", text, "$.response_schema")
    level: list[Any] = [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        parts = (each.values() if isinstance(each, dict) else each for each in level)
        level = [part for some in parts for part in some if isinstance(part, (dict, list))]
        if not level:
            return
    text = f"nested more than {MAX_SCHEMA_DEPTH} levels deep"
    raise Refused("bad_request", text, "$.response_schema")


def seats_for(request: DeliberationRequest, council: Council) -> tuple[Seat, ...]:
    """The seats asked: the council's first `num_agents`. Raises Refused when it has fewer."""
    if not council.seats:
        raise Refused("unavailable", f"nobody sits in council {council.role} now", "$.role")
    wanted = request.num_agents if request.num_agents is not None else len(council.seats)
    if wanted > len(council.seats):
        text = f"council {council.role} has {len(council.seats)} seats, {wanted} were asked for"
        raise Refused("too_many_agents", text, "$.num_agents")
    return council.seats[:wanted]


def unknown_role(role: str, known: tuple[Council, ...]) -> Refused:
    """The error for a council that is not there; it names those that are."""
    roles = ", ".join(each.role for each in known)
    return Refused("unknown_role", f"no council {role!r}; there are: {roles}", "$.role")


def accepted(first: Opened, *, duplicate: bool) -> Accepted:
    """The acknowledgement of a stored deliberation."""
    return Accepted(
        task_id=first.task_id,
        status="PENDING",
        role=first.request.role,
        protocol=first.request.protocol,
        seats=tuple(seat.id for seat in first.seats),
        accepted_at_ms=first.opened_at_ms,
        deadline_ms=first.deadline_ms,
        duplicate=duplicate,
    )
