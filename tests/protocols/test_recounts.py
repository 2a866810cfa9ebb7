"""A recount: under another rule, or without some of the seats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.deliberations import outcome
from actors.deliberations.deliberation import end
from actors.protocols import election
from tests.protocols.talks import SEATS, fail, go_on, proposed, say, start, vote, voted, whole

cast = st.fixed_dictionaries({seat: st.permutations(SEATS[:]) | st.none() for seat in SEATS})


@given(cast, st.sampled_from(["borda", "copeland", "approval", "plurality", "confidence"]))
def test_a_recount_under_another_rule_equals_a_count_under_that_rule(rankings, rule):
    asked, fresh = proposed(3), proposed(3, counting=rule)
    for seat, ranking in rankings.items():
        asked = vote(asked, seat, *ranking) if ranking else say(asked, seat, "garbage")
        fresh = vote(fresh, seat, *ranking) if ranking else say(fresh, seat, "garbage")
    again = outcome.recounted(end(asked), whole(asked), rule, ())
    expected = whole(fresh)
    assert (again.results, again.winner_reason) == (expected.results, expected.winner_reason)
    assert (again.ballots, again.counting) == (expected.ballots, expected.counting)


@given(st.lists(st.permutations(("s1", "s2", "s3", "s4")), min_size=4, max_size=4))
def test_a_recount_without_a_seat_equals_a_council_without_it(rankings):
    large, small = proposed(4), proposed(3)
    for number, ranking in enumerate(rankings, 1):
        large = vote(large, f"s{number}", *ranking)
        if number < 4:
            small = vote(small, f"s{number}", *ranking)
    again = election.hold(large, None, ["s4"])
    assert again.scores == pytest.approx(election.hold(small).scores)
    assert [each.voter for each in again.cast] == list(SEATS)


def test_a_ballot_with_one_candidate_left_says_nothing():
    state = vote(fail(proposed(), "s1"), "s2", "s1", "s3")
    again = election.hold(state, None, ["s3"])
    assert [each.abstained for each in again.cast] == ["internal", "fewer than two left to rank"]
    assert set(again.scores.values()) == {0.0}


def test_a_recount_without_anybody_has_no_winner():
    again = outcome.recounted(end(voted("ranked")), whole(voted("ranked")), None, SEATS)
    assert (again.winner_id, again.winner_reason, again.results) == (None, "", ())


def test_a_recount_without_all_authors_while_another_voted_has_no_winner():
    state = start("ranked", 4)
    state = go_on(fail(say(say(say(state, "s1"), "s2"), "s3"), "s4"))
    state = vote(state, "s4", "s1", "s2", "s3")
    assert outcome.recounted(end(state), whole(state), None, SEATS).winner_id is None
