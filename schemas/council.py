"""Councils and their seats: who is asked when a role is asked."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from schemas.types import Count, EpochMs, Name, Paragraph

MAX_SEATS = 64


class Sampling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a seat's text is drawn; a field left out takes the council's, then the model's value."""

    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    top_k: Annotated[int, Meta(ge=-1, le=10_000)] | None = None
    min_p: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2.0, le=2.0)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2.0, le=2.0)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=32_768)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    stop: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=4)
    ] = ()


Word = Annotated[str, Meta(min_length=1, max_length=64)]
Words = Annotated[tuple[Word, ...], Meta(max_length=32)]
Concurrency = Annotated[int, Meta(ge=1, le=1_024)]
HeartbeatSeconds = Annotated[float, Meta(ge=0.2, le=300.0)]
Lease = Annotated[str, Meta(min_length=16, max_length=128, description="the seat's own secret")]


class Seat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One place in a council: data, not a process. `queue` names the agents that serve it."""

    id: Name
    persona: Annotated[str, Meta(min_length=1, max_length=2_000)]
    queue: Name | None = None
    sampling: Sampling | None = None

    def queue_in(self, role: str) -> str:
        """The queue of the agents that serve it in the council of `role`."""
        return self.queue or role


class Member(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A foreign program that holds a seat: what it said of itself when it joined.

    `lease_sha256` is the digest of the secret by which it is known again.
    """

    seat: Name
    capabilities: Words = ()
    languages: Words = ()
    max_concurrency: Concurrency = 1
    heartbeat_seconds: HeartbeatSeconds = 10.0
    joined_at_ms: EpochMs = 0
    lease_sha256: Annotated[str, Meta(max_length=64)] = ""


Why = Literal["seat_left", "seat_lost", "seat_silent"]
"""How a program came to be without its seat: it said so, was not heard of, or did not answer."""


class Departed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A seat that a foreign program gave up or was taken from; what it is still asked fails.

    `after` is the stream sequence up to which it had answered.
    """

    seat: Name
    queue: Name
    after: Count
    left_at_ms: EpochMs
    code: Why


class Council(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A council as stored: its seats in order, those of `members` behind those it was made with."""

    role: Name
    seats: Annotated[tuple[Seat, ...], Meta(max_length=MAX_SEATS)]
    description: Paragraph = ""
    created_at_ms: EpochMs = 0
    deleted: bool = False
    deleted_at_ms: EpochMs = 0
    members: tuple[Member, ...] = ()
    departed: tuple[Departed, ...] = ()


class CouncilCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask the registry for a new council. Replied to with the stored `Council`."""

    role: Name
    seats: Annotated[tuple[Seat, ...], Meta(min_length=1, max_length=MAX_SEATS)]
    description: Paragraph = ""


class CouncilQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name one council, to get or to delete it."""

    role: Name


class CouncilListQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for every council; there is nothing to say."""


class CouncilList(Struct, frozen=True, kw_only=True):
    """Every council, in the order of their roles."""

    councils: tuple[Council, ...] = field(default=())
    total: Count = 0


class CouncilJoin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a seat in a council. Foreign program to registry; replied to with `Joined`.

    Who sends it again with the same `lease` keeps the seat as it is, after a restart as well.
    With `create` a council that is not there is made. `persona` is what the seat is told of
    itself in its prompts.
    """

    role: Name
    seat: Name
    persona: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    capabilities: Words = ()
    languages: Words = ()
    max_concurrency: Concurrency = 1
    heartbeat_seconds: HeartbeatSeconds = 10.0
    lease: Lease | None = None
    create: bool = False


class Joined(Struct, frozen=True, kw_only=True):
    """The seat is taken: all that its program must know.

    It pulls `AgentRequest` from `consumer` of `stream` (`pull_subject`), publishes `+WPI` to a
    request's reply subject at least every `ack_wait_seconds`, publishes its `AgentResponse` on
    `response_subject` with the request's task in place of `{task_id}`, then acknowledges. It sends
    a `Heartbeat` on `heartbeat_subject` every `heartbeat_seconds`; after `missed_heartbeats` of
    them the seat is taken from it.
    """

    role: Name
    seat: Name
    lease: Lease
    queue: Name
    stream: str
    consumer: str
    request_subject: str
    pull_subject: str
    response_subject: str
    progress_subject: str
    heartbeat_subject: str
    heartbeat_seconds: HeartbeatSeconds
    missed_heartbeats: Count
    ack_wait_seconds: float
    max_deliver: int
    max_concurrency: Concurrency
    max_content_characters: Count
    schema_version: str
    joined_at_ms: EpochMs


class CouncilLeave(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give up a seat. Replied to with `Left`."""

    role: Name
    seat: Name
    lease: Lease


class Left(Struct, frozen=True, kw_only=True):
    """The seat is given up; `failed` requests that were open now count as failed."""

    role: Name
    seat: Name
    left_at_ms: EpochMs
    failed: Count = 0


class Heartbeat(Struct, frozen=True, kw_only=True):
    """A foreign program still holds its seat. Replied to with `Alive` where a reply is wanted."""

    role: Name
    seat: Name
    lease: Lease


class Alive(Struct, frozen=True, kw_only=True):
    """The heartbeat was heard; the seat is kept for `within_seconds` more."""

    role: Name
    seat: Name
    within_seconds: float
