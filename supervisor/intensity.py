"""Restart intensity: how often one child may be restarted before the supervisor gives up.

How to choose: `max_restarts` is the burst you tolerate, `max_restarts / period_s` the rate you
put up with for ever. A loop of restarts is worse than a crash, because nobody hears of it.
"""

from msgspec import Struct


class Intensity(Struct, frozen=True):
    """At most `max_restarts` within any `period_s` seconds."""

    max_restarts: int = 5
    period_s: float = 30.0


def recent(restarts: tuple[float, ...], now: float, limit: Intensity) -> tuple[float, ...]:
    """Return those restarts that still count at `now`; a restart counts for a whole period."""
    return tuple(at for at in restarts if now - at <= limit.period_s)


def one_more(restarts: tuple[float, ...], at: float, limit: Intensity) -> bool:
    """Tell whether a further restart at `at` is within the limit."""
    return len(recent(restarts, at, limit)) < limit.max_restarts


def delay(failures: int, first_s: float, longest_s: float) -> float:
    """Return how long to wait after the n-th failure in a row: nothing at first, then doubling."""
    if failures <= 1:
        return 0.0
    doublings = min(failures - 2, 32)  # 2**32 of any sensible unit is above every limit
    return min(first_s * 2.0**doublings, longest_s)
