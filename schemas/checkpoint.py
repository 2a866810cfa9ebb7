"""Where a collector's reading of the stream may begin: what it keeps beside the stream itself."""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.types import MOST, EpochMs


class Checkpoint(Struct, frozen=True, kw_only=True):
    """Collector to whichever collector starts next, on `deliberation.checkpoint`.

    Every deliberation opened before the record `sequence` has its outcome. `stored_ms` is when
    that record was stored: it tells it from another of the same number, in a stream made anew or
    restored from a backup.
    """

    sequence: Annotated[int, Meta(ge=1, le=MOST)]
    stored_ms: EpochMs
