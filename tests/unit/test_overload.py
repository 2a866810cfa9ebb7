"""Saying no in time: the pure parts of admission, of the load told, and of the retry budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.bus.retry_budget import MOST, PER_SECOND, SHARE, RetryBudget
from actors.intake.admission import GONE_MS, LONGEST_MS, STALE_MS, UNKNOWN_PACE_MS, Admission
from actors.intake.load import LoadMeter
from actors.settings import Limits
from schemas.load import CouncilLoad, Load

LIMITS = Limits(max_backlog=10, backlog_of={"QA": 2})


def told(sequence: int, pace: float = 0.0, **open_: int) -> Load:
    councils = {
        role: CouncilLoad(open=count, ended_per_second=pace) for role, count in open_.items()
    }
    return Load(sequence=sequence, councils=councils)


def stored(admission: Admission, role: str, sequence: int) -> None:
    with admission.storing(role) as place:
        place.sequence = sequence


class TestAdmission:
    def test_there_is_room_until_the_bound_of_the_council(self):
        admission = Admission(LIMITS)
        admission.learn(told(1, DEV=9, QA=2), 0)
        assert admission.refusal("DEV", 0) is None
        assert admission.refusal("QA", 0).code == "overloaded"
        assert admission.refusal("DATA", 0) is None
        assert admission.shed == 1

    def test_what_is_being_stored_and_what_was_since_counts(self):
        admission = Admission(LIMITS)
        admission.learn(told(100, DEV=7), 0)
        stored(admission, "DEV", 101)
        with admission.storing("DEV"):
            assert admission.backlog("DEV") == 9
        assert admission.backlog("DEV") == 8

    def test_what_the_collector_knows_is_not_counted_twice(self):
        admission = Admission(LIMITS)
        for sequence in (101, 103, 105):
            stored(admission, "DEV", sequence)
        admission.learn(told(103, DEV=2), 0)
        assert admission.backlog("DEV") == 3
        stored(admission, "DEV", 102)  # its receipt came late
        assert admission.backlog("DEV") == 3

    def test_what_could_not_be_stored_leaves_no_trace(self):
        admission = Admission(LIMITS)
        with pytest.raises(ZeroDivisionError), admission.storing("DEV"):
            raise ZeroDivisionError
        assert admission.backlog("DEV") == 0

    def test_older_news_changes_nothing_until_all_news_is_old(self):
        admission = Admission(LIMITS)
        admission.learn(told(50, DEV=5), 0)
        admission.learn(told(49, DEV=1), STALE_MS - 1)
        assert admission.backlog("DEV") == 5
        admission.learn(told(3, DEV=1), STALE_MS)  # another stream
        assert admission.backlog("DEV") == 1

    def test_what_was_stored_in_a_stream_that_is_gone_does_not_count_for_ever(self):
        admission = Admission(LIMITS)
        admission.learn(told(50, DEV=0), 0)
        for sequence in range(51, 61):
            stored(admission, "DEV", sequence)
        for now_ms in range(STALE_MS, STALE_MS + GONE_MS, 1_000):
            admission.learn(told(1, DEV=0), now_ms)  # another stream
            assert admission.refusal("DEV", now_ms) is not None
        admission.learn(told(1, DEV=0), STALE_MS + GONE_MS)
        assert admission.backlog("DEV") == 0

    def test_a_collector_that_lags_does_not_make_room(self):
        admission = Admission(LIMITS)
        admission.learn(told(50, DEV=0), 0)
        for sequence in range(51, 61):
            stored(admission, "DEV", sequence)
        taken_over_ms = 2 * GONE_MS
        admission.learn(told(10, DEV=0), taken_over_ms)
        assert admission.backlog("DEV") == 10
        admission.learn(told(60, DEV=10), taken_over_ms + GONE_MS - 1)
        assert admission.backlog("DEV") == 10

    def test_those_refused_come_again_one_after_the_other(self):
        admission = Admission(LIMITS)
        admission.learn(told(1, pace=10.0, QA=2), 0)
        hints = [admission.refusal("QA", 0).retry_after_ms for _ in range(5)]
        assert hints == [100, 200, 300, 400, 500]
        assert admission.refusal("QA", 10_000).retry_after_ms == 100

    def test_nobody_is_sent_away_for_longer_than_the_limit(self):
        admission = Admission(LIMITS)
        admission.learn(told(1, pace=10.0, QA=2), 0)
        hints = [admission.refusal("QA", 0).retry_after_ms for _ in range(1_000)]
        assert max(hints) == LONGEST_MS

    def test_without_a_pace_the_hint_is_a_second(self):
        admission = Admission(LIMITS)
        admission.learn(told(1, QA=2), 0)
        assert admission.refusal("QA", 0).retry_after_ms == UNKNOWN_PACE_MS

    @given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 3))))
    def test_own_openings_are_counted_until_they_are_told(self, events: list[tuple[int, int]]):
        """The backlog never falls below what was stored behind the place last told."""
        admission = Admission(Limits())
        own: list[int] = []
        newest = place = 0
        for step, kind in events:
            if kind:
                newest += step
                own.append(newest)
                stored(admission, "DEV", newest)
            else:
                place = min(place + step, newest)
                admission.learn(told(place, DEV=0), 0)
            assert admission.backlog("DEV") == sum(sequence > place for sequence in own)


class TestLoad:
    def test_what_is_open_is_told_at_every_look(self):
        meter = LoadMeter()
        meter.began("DEV")
        assert [meter.told(1, tick / 10).councils["DEV"].open for tick in range(5)] == [1] * 5

    def test_what_began_and_ended_between_two_looks_is_told_once(self):
        """Or the dispatcher that opened it would count it for ever."""
        meter = LoadMeter()
        meter.told(1, 0.0)
        meter.began("DEV")
        meter.ended("DEV")
        load = meter.told(3, 0.1)
        assert (load.sequence, load.councils["DEV"].open) == (3, 0)
        assert meter.told(3, 0.2) is None

    def test_in_silence_it_is_told_now_and_then_for_those_who_missed_it(self):
        meter = LoadMeter()
        told = [meter.told(1, tick / 10) is not None for tick in range(31)]
        assert sum(told) == 4

    def test_the_pace_follows_what_ends(self):
        meter = LoadMeter()
        for tick in range(200):
            for _ in range(4):
                meter.began("DEV")
                meter.ended("DEV")
            meter.began("DEV")
            load = meter.told(tick, tick / 10)
        assert load.councils["DEV"].ended_per_second == pytest.approx(40, rel=0.01)

    def test_reading_the_stream_anew_counts_anew(self):
        meter = LoadMeter()
        meter.began("DEV")
        meter.clear()
        meter.began("DEV")
        assert meter.told(1, 0.0).councils["DEV"].open == 1


class TestRetryBudget:
    def test_savings_are_spent_at_once_and_then_time_earns(self):
        budget = RetryBudget(0.0)
        waits = [budget.spend(0.0) for _ in range(int(MOST) + 20)]
        assert waits[: int(MOST)] == [0.0] * int(MOST)
        assert waits[-1] == pytest.approx(20 / PER_SECOND)

    @given(st.integers(1, 2_000), st.floats(0.001, 1.0))
    def test_retries_stay_near_a_tenth_of_the_requests(self, requests: int, every_s: float):
        """Every request fails, and is tried again whenever the budget lets it."""
        budget, now_s, retried = RetryBudget(0.0), 0.0, 0
        for _ in range(requests):
            now_s += every_s
            budget.earn(now_s)
            retried += budget.spend(now_s) == 0.0
        assert retried <= MOST + requests * SHARE + now_s * PER_SECOND + 1

    def test_savings_have_an_end(self):
        budget = RetryBudget(0.0)
        for second in range(1_000):
            budget.earn(float(second))
        assert sum(budget.spend(999.0) == 0.0 for _ in range(1_000)) == int(MOST)
