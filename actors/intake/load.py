"""Load: how many deliberations each council has open, and how fast they end."""

import math
from collections import Counter

from schemas.load import CouncilLoad, Load

TELL_S = 0.1
"""So often the dispatchers are told while something is open or has changed."""

IDLE_S = 1.0
"""So often they are told otherwise: what was told last may not have reached them."""

MEMORY_S = 3.0
"""The pace is a mean over about so long, recent ends counting most."""

_NO_PACE = 0.01
"""Ends a second below which a pace is forgotten."""


class LoadMeter:
    """Counts as the collector folds."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._pace: dict[str, float] = {}
        self._changed = True
        self._looked_s: float | None = None
        self._told_s = 0.0

    def clear(self) -> None:
        """Begin to count anew: the stream is read again."""
        self._open.clear()
        self._changed = True

    def began(self, role: str) -> None:
        """A deliberation of a council was opened."""
        self._open[role] += 1
        self._changed = True

    def ended(self, role: str) -> None:
        """A deliberation of a council is over."""
        self._open[role] -= 1
        self._ended[role] += 1
        self._changed = True

    def told(self, sequence: int, now_s: float) -> Load | None:
        """The load up to a place in the stream, at `now_s` by any steady clock; to be told now.

        None when there is nothing to tell yet. What ended since the last call gives the pace.
        """
        self._measure(now_s)
        self._open = +self._open
        if not (self._open or self._changed) and now_s - self._told_s < IDLE_S:
            return None
        self._changed, self._told_s = False, now_s
        return Load(
            sequence=sequence,
            councils={
                role: CouncilLoad(
                    open=self._open[role], ended_per_second=round(self._pace.get(role, 0.0), 3)
                )
                for role in self._open.keys() | self._pace.keys()
            },
        )

    def _measure(self, now_s: float) -> None:
        elapsed_s = now_s - self._looked_s if self._looked_s is not None else TELL_S
        self._looked_s = now_s
        kept = math.exp(-elapsed_s / MEMORY_S)
        paces = {
            role: self._pace.get(role, 0.0) * kept
            + self._ended[role] / max(elapsed_s, 1e-3) * (1 - kept)
            for role in self._pace.keys() | self._ended.keys()
        }
        self._pace = {role: pace for role, pace in paces.items() if pace > _NO_PACE}
        self._ended.clear()
