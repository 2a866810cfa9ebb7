"""Councils and their seats: who is asked when a role is asked."""

from typing import Annotated

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


class Seat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One place in a council: data, not a process. `queue` names the agents that serve it."""

    id: Name
    persona: Annotated[str, Meta(min_length=1, max_length=2_000)]
    queue: Name | None = None
    sampling: Sampling | None = None


class Council(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A council as stored: its role, its seats in order, and how often it was changed."""

    role: Name
    seats: Annotated[tuple[Seat, ...], Meta(min_length=1, max_length=MAX_SEATS)]
    description: Paragraph = ""
    created_at_ms: EpochMs = 0
    deleted: bool = False


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
