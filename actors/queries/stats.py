"""Counts and latencies of the recent past, folded from outcomes: pure but for its own memory."""

from collections import deque
from collections.abc import Iterable, Mapping

from msgspec import Struct

from schemas.agent import Usage
from schemas.deliberation import Status
from schemas.result import NOT_NEEDED, AgentStats, CouncilStats, LatencyMs, Stats
from schemas.types import Name

WINDOW_S = 3_600
MAX_ENTRIES = 100_000
"""Entries kept at most; beyond it the oldest go and percentiles speak of the newest."""


class OutcomeFacts(Struct, frozen=True, kw_only=True):
    """The part of an outcome that is counted; the rest of its body is not decoded."""

    role: Name
    status: Status
    created_at_ms: int = 0
    duration_ms: int = 0
    usage: Usage = Usage()
    failures: tuple["_Code", ...] = ()


class _Code(Struct, frozen=True):
    code: str = ""


class Window:
    """Outcomes of the last `WINDOW_S` seconds."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, OutcomeFacts]] = deque(maxlen=MAX_ENTRIES)

    def add(self, stored_ms: int, facts: OutcomeFacts) -> None:
        """Count one outcome, in stream order."""
        self._entries.append((stored_ms, facts))

    def stats(
        self,
        now_ms: int,
        agents: Iterable[AgentStats] = (),
        refused: Mapping[str, int] | None = None,
    ) -> Stats:
        """Sum up what is not older than the window."""
        while self._entries and self._entries[0][0] < now_ms - WINDOW_S * 1000:
            self._entries.popleft()
        recent = [facts for _, facts in self._entries]
        roles = sorted({facts.role for facts in recent})
        return Stats(
            window_seconds=WINDOW_S,
            completed=_count(recent, "COMPLETED"),
            failed=_count(recent, "FAILED"),
            timeout=_count(recent, "TIMEOUT"),
            cancelled=_count(recent, "CANCELLED"),
            duration=_latency(recent),
            usage=_usage(recent),
            councils=tuple(
                _council(role, [facts for facts in recent if facts.role == role]) for role in roles
            ),
            agents=tuple(agents),
            responses_refused=dict(refused or {}),
        )


def _council(role: str, recent: list[OutcomeFacts]) -> CouncilStats:
    return CouncilStats(
        role=role,
        completed=_count(recent, "COMPLETED"),
        failed=_count(recent, "FAILED"),
        timeout=_count(recent, "TIMEOUT"),
        cancelled=_count(recent, "CANCELLED"),
        seat_failures=sum(
            failure.code != NOT_NEEDED for facts in recent for failure in facts.failures
        ),
        duration=_latency(recent),
        usage=_usage(recent),
    )


def _count(recent: list[OutcomeFacts], status: Status) -> int:
    return sum(facts.status == status for facts in recent)


def _usage(recent: list[OutcomeFacts]) -> Usage:
    return sum((facts.usage for facts in recent), Usage())


def _latency(recent: list[OutcomeFacts]) -> LatencyMs:
    """Nearest-rank percentiles over completed deliberations."""
    done = sorted(facts.duration_ms for facts in recent if facts.status == "COMPLETED")
    if not done:
        return LatencyMs()

    def at(share: float) -> float:
        return float(done[min(int(share * len(done)), len(done) - 1)])

    return LatencyMs(p50=at(0.50), p90=at(0.90), p99=at(0.99), max=float(done[-1]))
