"""The one place where actors read the wall clock, without its jumps.

A wall clock may be set while we run: by hand, by a time server, by a host that wakes a guest. A
promised deadline must neither pass at once then nor move away. So the wall clock is read once;
from then on time goes by the steady clock and follows corrections of the wall clock by at most
SLEW: more than any quartz drifts, and too little for a jump to matter within a deadline.

A process that starts under a wrong wall clock has a wrong time: machines must agree (NTP).
"""

import time
from collections.abc import Callable
from typing import Final

SLEW: Final = 0.001
"""Milliseconds of correction in a second: a jump of an hour moves a deadline of an hour by 4 s."""

_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is a clock that counts time asleep too, it is that one: deadlines pass in sleep."""


def _steady_ns() -> int:
    return time.clock_gettime_ns(_STEADY)


class Clock:
    """Time since 1970 that never jumps nor goes back."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = _steady_ns,
    ) -> None:
        self._wall_ns, self._steady_ns = wall_ns, steady_ns
        self._now, self._steady = wall_ns(), steady_ns()

    def time_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        steady = self._steady_ns()
        passed, self._steady = steady - self._steady, steady
        most = int(passed * SLEW)
        wrong = self._wall_ns() - self._now - passed
        self._now += passed + max(-most, min(most, wrong))
        return self._now


time_ns = Clock().time_ns


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time_ns() // 1_000_000
