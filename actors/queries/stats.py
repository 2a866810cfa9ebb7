"""Counts and latencies of the recent past, folded from outcomes: pure but for its own memory."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping

from msgspec import Struct

from schemas.agent import Usage
from schemas.deliberation import FINAL_STATUSES, Status
from schemas.result import NOT_NEEDED, AgentStats, CouncilStats, LatencyMs, Stats
from schemas.types import MOST, Name

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


class Tally:
    """Running sums of outcomes that are added at one end and removed at the other."""

    def __init__(self) -> None:
        self.durations: deque[int] = deque()
        """Of those completed, in their order."""
        self.sums: Counter[str] = Counter()
        """By status, `seat_failures`, and the fields of `Usage`."""

    def add(self, facts: OutcomeFacts) -> None:
        """Count an outcome."""
        self._count(facts, 1)
        if facts.status == "COMPLETED":
            self.durations.append(facts.duration_ms)

    def remove(self, facts: OutcomeFacts) -> None:
        """Count the oldest outcome no longer."""
        self._count(facts, -1)
        if facts.status == "COMPLETED":
            self.durations.popleft()

    def _count(self, facts: OutcomeFacts, by: int) -> None:
        sums, usage = self.sums, facts.usage
        sums[facts.status] += by
        sums["prompt_tokens"] += by * usage.prompt_tokens
        sums["cached_tokens"] += by * usage.cached_tokens
        sums["completion_tokens"] += by * usage.completion_tokens
        if facts.failures:
            sums["seat_failures"] += by * sum(each.code != NOT_NEEDED for each in facts.failures)


class Window:
    """Outcomes of the last `WINDOW_S` seconds: to ask costs no more than sorting the durations."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, OutcomeFacts]] = deque()
        self._whole = Tally()
        self._councils: defaultdict[str, Tally] = defaultdict(Tally)

    def add(self, stored_ms: int, facts: OutcomeFacts) -> None:
        """Count one outcome, in stream order."""
        self._entries.append((stored_ms, facts))
        self._whole.add(facts)
        self._councils[facts.role].add(facts)
        if len(self._entries) > MAX_ENTRIES:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, facts = self._entries.popleft()
        self._whole.remove(facts)
        tally = self._councils[facts.role]
        tally.remove(facts)
        if not any(tally.sums.values()):
            del self._councils[facts.role]

    def stats(
        self,
        now_ms: int,
        agents: Iterable[AgentStats] = (),
        refused: Mapping[str, int] | None = None,
    ) -> Stats:
        """Sum up what is not older than the window."""
        while self._entries and self._entries[0][0] < now_ms - WINDOW_S * 1000:
            self._forget_oldest()
        sums = self._whole.sums
        return Stats(
            window_seconds=WINDOW_S,
            completed=sums["COMPLETED"],
            failed=sums["FAILED"],
            timeout=sums["TIMEOUT"],
            cancelled=sums["CANCELLED"],
            duration=_latency(self._whole),
            usage=_usage(sums),
            councils=tuple(
                _council(role, tally)
                for role, tally in sorted(self._councils.items())
                if any(tally.sums[status] for status in FINAL_STATUSES)
            ),
            agents=tuple(agents),
            responses_refused=dict(refused or {}),
        )


def _council(role: str, tally: Tally) -> CouncilStats:
    sums = tally.sums
    return CouncilStats(
        role=role,
        completed=sums["COMPLETED"],
        failed=sums["FAILED"],
        timeout=sums["TIMEOUT"],
        cancelled=sums["CANCELLED"],
        seat_failures=sums["seat_failures"],
        duration=_latency(tally),
        usage=_usage(sums),
    )


def _usage(sums: Mapping[str, int]) -> Usage:
    return Usage(**{name: min(sums[name], MOST) for name in Usage.__struct_fields__})


def _latency(tally: Tally) -> LatencyMs:
    """Nearest-rank percentiles over completed deliberations."""
    done = sorted(tally.durations)
    if not done:
        return LatencyMs()

    def at(share: float) -> float:
        return float(done[min(int(share * len(done)), len(done) - 1)])

    return LatencyMs(p50=at(0.50), p90=at(0.90), p99=at(0.99), max=float(done[-1]))
