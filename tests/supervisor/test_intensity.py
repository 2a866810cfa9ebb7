"""Restart intensity and back-off, without a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.intensity import Intensity, delay, one_more, recent

FIVE_IN_THIRTY = Intensity(5, 30.0)


def test_a_restart_counts_for_a_whole_period_and_no_longer():
    assert recent((0.0, 10.0), 30.0, FIVE_IN_THIRTY) == (0.0, 10.0)
    assert recent((0.0, 10.0), 30.1, FIVE_IN_THIRTY) == (10.0,)


def test_the_sixth_restart_within_the_period_is_one_too_many():
    assert one_more((1.0, 2.0, 3.0, 4.0), 5.0, FIVE_IN_THIRTY)
    assert not one_more((1.0, 2.0, 3.0, 4.0, 5.0), 6.0, FIVE_IN_THIRTY)


def test_after_a_calm_period_restarts_are_allowed_again():
    assert one_more((1.0, 2.0, 3.0, 4.0, 5.0), 31.5, FIVE_IN_THIRTY)


def test_an_intensity_of_zero_allows_no_restart():
    assert not one_more((), 0.0, Intensity(0, 30.0))


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 0.0), (2, 0.25), (3, 0.5), (4, 1.0), (5, 2.0), (6, 3.0), (99, 3.0)],
)
def test_the_first_restart_is_immediate_and_the_next_wait_twice_as_long_each(failures, seconds):
    assert delay(failures, 0.25, 3.0) == seconds


@given(
    gaps=st.lists(st.floats(0, 20), max_size=60),
    most=st.integers(0, 6),
    period=st.floats(0.5, 40),
)
def test_no_window_ever_holds_more_restarts_than_the_intensity(gaps, most, period):
    limit = Intensity(most, period)
    now, kept, all_restarts = 0.0, (), []
    for gap in gaps:
        now += gap
        if one_more(kept, now, limit):
            kept = (*recent(kept, now, limit), now)
            all_restarts.append(now)
    for end in all_restarts:
        assert sum(0 <= end - at <= period for at in all_restarts) <= most
