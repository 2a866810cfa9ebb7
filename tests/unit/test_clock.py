"""The actors' clock: right, steady, and deaf to jumps of the wall clock."""

import time

from hypothesis import given
from hypothesis import strategies as st

from actors.clock import SLEW, Clock, now_ms

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND


class Machine:
    """A machine whose two clocks are set by hand."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_795_000_000 * SECOND, 5 * SECOND
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def passes(self, ns: int) -> int:
        """Time passes, on both clocks; return what the clock says then."""
        self.wall += ns
        self.steady += ns
        return self.clock.time_ns()


def test_it_says_what_the_wall_clock_says():
    machine = Machine()
    assert machine.passes(7 * SECOND) == machine.wall
    assert abs(now_ms() - time.time_ns() // 1_000_000) < 60_000


def test_a_jump_of_an_hour_does_not_move_a_deadline_of_five_minutes_by_a_second():
    for jump in (HOUR, -HOUR):
        machine = Machine()
        before = machine.clock.time_ns()
        machine.wall += jump
        assert abs(machine.passes(300 * SECOND) - before - 300 * SECOND) <= SECOND * 300 * SLEW


def test_the_drift_of_a_quartz_is_followed():
    machine = Machine()
    for _ in range(1_000):
        machine.wall += 100_000  # 100 parts in a million, of a second
        machine.passes(SECOND)
    assert abs(machine.clock.time_ns() - machine.wall) < 1_000_000


@given(st.lists(st.tuples(st.integers(0, HOUR), st.integers(-HOUR, HOUR)), max_size=30))
def test_it_never_goes_back(steps):
    machine = Machine()
    before = machine.clock.time_ns()
    for passed, jump in steps:
        machine.wall += jump
        now = machine.passes(passed)
        assert now >= before
        before = now
