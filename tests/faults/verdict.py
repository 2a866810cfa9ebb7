"""What became of promises: kept once, lost and where, doubled, or late."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import msgspec
from msgspec import Struct

LATE_MS = 1_000
"""A deadline is kept when the outcome is stored at most this much after it."""


class Promise(Struct, kw_only=True):
    """One deliberation as its client sees it; times in seconds since the ledger's start."""

    task_id: str
    intended_s: float
    accepted_s: float | None = None
    deadline_ms: int = 0
    attempts: int = 0
    events: int = 0
    outcomes: list[str] = msgspec.field(default_factory=list)
    seats_heard: int = 0
    late_ms: int = 0


class Verdict(Struct, frozen=True, kw_only=True):
    """The ledger, classified. Lost, doubled, late and unheard must be 0."""

    sent: int
    accepted: int
    never_accepted: int
    repeated: int
    """Requests that were sent more than once."""
    outcomes: dict[str, int]
    lost: list[str]
    """Accepted, and no outcome is stored."""
    lost_where: dict[str, int]
    """Of those: before all, among or after all whose outcome is stored, by the time of asking."""
    doubled: list[str]
    """More than one outcome stored, or more than one public event seen."""
    late: list[str]
    seats_missing: list[str]
    """An outcome that does not tell of every seat exactly once."""
    strangers: list[str]
    """Outcomes of deliberations that nobody sent."""
    events_missed: int
    ack_p50_ms: float
    ack_p99_ms: float
    ack_max_ms: float
    latest_ms: int = 0
    """How long after its deadline the latest outcome was stored; 0 when all were in time."""

    @property
    def clean(self) -> bool:
        return not (
            self.lost or self.doubled or self.late or self.seats_missing
            or self.strangers or self.never_accepted
        )  # fmt: skip


def classified(promises: Collection[Promise], seats: int, strangers: Iterable[str]) -> Verdict:
    """Sort every promise into what became of it; each has so many seats."""
    accepted = [promise for promise in promises if promise.accepted_s is not None]
    waits = sorted((p.accepted_s or 0.0) - p.intended_s for p in accepted) or [0.0]
    return Verdict(
        sent=len(promises),
        accepted=len(accepted),
        never_accepted=len(promises) - len(accepted),
        repeated=sum(promise.attempts > 1 for promise in promises),
        outcomes=dict(Counter(status for p in promises for status in p.outcomes)),
        lost=_ids(p for p in accepted if not p.outcomes),
        lost_where=places([bool(p.outcomes) for p in accepted]),
        doubled=_ids(p for p in promises if len(p.outcomes) > 1 or p.events > 1),
        late=_ids(p for p in accepted if p.outcomes and p.late_ms > LATE_MS),
        seats_missing=_ids(p for p in promises if p.outcomes and p.seats_heard != seats),
        strangers=sorted(strangers),
        events_missed=sum(bool(p.outcomes) and p.events == 0 for p in promises),
        ack_p50_ms=waits[len(waits) // 2] * 1000,
        ack_p99_ms=waits[int(len(waits) * 0.99)] * 1000,
        ack_max_ms=waits[-1] * 1000,
        latest_ms=max((0, *(p.late_ms for p in accepted if p.outcomes))),
    )


def places(ended: Sequence[bool]) -> dict[str, int]:
    """Tell where in a log the missing ones are: Jepsen's prefix, middle and postfix.

    A lost prefix is a log that began anew, a lost postfix may be a reader that stopped early;
    a hole in the middle is the worst, since earlier and later entries were there.
    """
    found: Counter[str] = Counter()
    first = ended.index(True) if True in ended else len(ended)
    last = len(ended) - 1 - ended[::-1].index(True) if True in ended else len(ended)
    for number, there in enumerate(ended):
        if not there:
            found["prefix" if number < first else "postfix" if number > last else "middle"] += 1
    return dict(found)


def _ids(promises: Iterable[Promise]) -> list[str]:
    return [promise.task_id for promise in promises]
