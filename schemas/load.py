"""How busy the councils are: what the collector tells the dispatchers, so that these can say no."""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.types import Count, Name


class CouncilLoad(Struct, frozen=True, kw_only=True):
    """Deliberations of one council under way, and how many end a second of late."""

    open: Count = 0
    ended_per_second: Annotated[float, Meta(ge=0.0)] = 0.0


class Load(Struct, frozen=True, kw_only=True):
    """Collector to dispatchers on `deliberation.load`, live: true up to stream `sequence`."""

    sequence: Count
    councils: dict[Name, CouncilLoad] = {}
