"""Admission: says no, with a time to come again, before a council has more to do than it should.

How many deliberations each council has open is known without a question on the way: the collector
tells it several times a second, up to a place in the stream; what was stored behind that place by
ourselves is counted here. What other dispatchers stored in that moment is not: with several of
them the bound may be passed by what they admit in a tenth of a second.

Who is refused is given a time of its own, one after the other at the pace at which deliberations
end: so those that come again do not come together.
"""

import math
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from actors.settings import Limits
from schemas.errors import Refused
from schemas.load import CouncilLoad, Load

UNKNOWN_PACE_MS = 1_000
"""When to come again where nothing ended of late."""

LONGEST_MS = 30_000
SHORTEST_MS = 50

STALE_MS = 2_000
"""News this old gives way to any other: the stream may have been made anew."""

GONE_MS = 30_000
"""What was stored by us and is not told of for so long, though there is news, lay in a stream that
is gone. A collector that lags, as a standby may when it takes over, has it told long before."""

_IDLE = CouncilLoad()


class Admission:
    """See the module. `shed` counts who was refused."""

    def __init__(self, limits: Limits) -> None:
        self.shed = 0
        self._limits = limits
        self._told = Load(sequence=0)
        self._told_ms = 0
        self._storing: Counter[str] = Counter()
        self._own: deque[tuple[int, str]] = deque()
        """Stored by us behind what was told: sequence and role."""
        self._since: Counter[str] = Counter()
        self._progress_ms = 0
        """When the oldest of them last was another, or news came again."""
        self._next_ms: dict[str, float] = {}

    def learn(self, told: Load, now_ms: int) -> None:
        """Take note of what the collector told, unless something newer is known."""
        if told.sequence < self._told.sequence and now_ms - self._told_ms < STALE_MS:
            return
        silent_ms = now_ms - self._told_ms
        self._told, self._told_ms = told, now_ms
        if not self._own or self._own[0][0] <= told.sequence or silent_ms >= STALE_MS:
            self._progress_ms = now_ms
        while self._own and self._own[0][0] <= told.sequence:
            _, role = self._own.popleft()
            self._since[role] -= 1
        if now_ms - self._progress_ms >= GONE_MS:
            self._own.clear()
            self._since.clear()

    def backlog(self, role: str) -> int:
        """How many deliberations of a council are open, those being stored included."""
        told = self._told.councils.get(role, _IDLE)
        return told.open + self._since[role] + self._storing[role]

    def refusal(self, role: str, now_ms: int) -> Refused | None:
        """Why no more of this council can be taken in now; None when there is room."""
        bound = self._limits.backlog_of.get(role, self._limits.max_backlog)
        if self.backlog(role) < bound:
            return None
        self.shed += 1
        text = f"council {role} has {bound} deliberations open, as many as it may"
        return Refused("overloaded", text, "$.role", self._come_again_ms(role, now_ms))

    def _come_again_ms(self, role: str, now_ms: int) -> int:
        pace = self._told.councils.get(role, _IDLE).ended_per_second
        if pace <= 0:
            return UNKNOWN_PACE_MS
        next_ms = max(self._next_ms.get(role, 0.0), now_ms) + 1_000 / pace
        self._next_ms[role] = min(next_ms, now_ms + LONGEST_MS)
        return max(math.ceil(self._next_ms[role] - now_ms), SHORTEST_MS)

    @contextmanager
    def storing(self, role: str) -> Iterator["Place"]:
        """Hold a place while an opening is being stored; set its `sequence` when it is."""
        self._storing[role] += 1
        place = Place()
        try:
            yield place
        finally:
            self._storing[role] -= 1
            if place.sequence > self._told.sequence:
                self._own.append((place.sequence, role))
                self._since[role] += 1


class Place:
    """Where in the stream an opening was stored; 0 while it is not."""

    __slots__ = ("sequence",)

    def __init__(self) -> None:
        self.sequence = 0
