"""When a round is settled, when all is over, and what comes too late to count."""

import pytest
from msgspec.structs import replace

from actors.deliberations.deliberation import Conclude, OpenRound, advance, end
from actors.deliberations.rounds import asks, decide
from actors.protocols import PROTOCOLS
from schemas.agent import Usage
from schemas.council import Sampling
from schemas.deliberation import Constraints
from schemas.errors import ErrorBody
from tests.harness.builders import answer
from tests.protocols.talks import (
    DONE,
    NOW,
    SEATS,
    all_say,
    fail,
    go_on,
    heard,
    opening_of,
    proposed,
    say,
    standing,
    start,
    step,
    vote,
    voted,
    whole,
)

DEADLINE = 301_000


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_nothing_is_decided_while_all_are_silent(protocol):
    assert decide(start(protocol), NOW) == decide(start(protocol), NOW + 1)
    assert decide(start(protocol), NOW).look_again_ms == DEADLINE


def test_quorum_and_grace_settle_a_round():
    state = start("ranked", 4, quorum=3, grace_ms=500)
    state = heard(state, answer("s1"), at_ms=1_100)
    state = heard(state, answer("s3"), at_ms=1_200)
    assert decide(state, 9_000) == decide(state, 1_200)
    state = heard(state, answer("s2"), at_ms=1_300)
    assert decide(state, 1_799) == decide(start(), 0).__class__(None, 1_800)
    assert step(state, 1_800) == OpenRound("ballot", ("s1", "s2", "s3", "s4"))


def test_failures_are_not_part_of_a_quorum():
    state = fail(say(start("ranked", 3, quorum=2), "s1"), "s2")
    assert step(state, DEADLINE - 1) is None


def test_a_quorum_larger_than_a_round_is_that_rounds_size():
    state = go_on(voted(quorum=3))
    assert step(say(state, "s2", "joined")) == DONE


def test_seats_silent_too_long_abstain():
    constraints = Constraints(seat_timeout_seconds=2.0)
    state = all_say(start("ranked", 4, constraints=constraints))
    state = replace(state, answers=state.answers[:3], heard_ms=state.heard_ms[:3])
    assert step(state, 2_999) is None
    assert asks(state)[0].request.deadline_ms == 3_000
    state = go_on(state, 3_000)
    assert whole(state).failures[0].code == "abstained"
    assert asks(state)[0].request.deadline_ms == 5_000


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_at_the_deadline_it_is_over_with_what_is_there(protocol):
    state = say(start(protocol), "s2", "answer: x")
    assert step(state, DEADLINE).status == "TIMEOUT"
    result = whole(state, "TIMEOUT")
    assert result.winner_id == "s2"
    assert result.degraded
    assert [(each.seat, each.code) for each in result.failures] == [
        ("s1", "timeout"),
        ("s3", "timeout"),
    ]


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_what_is_over_needs_no_decision(protocol):
    assert step(end(all_say(start(protocol))), DEADLINE) is None


def test_a_vote_that_no_ballot_can_change_ends_early():
    state = proposed(5)
    for seat in ("s1", "s3", "s4"):
        assert step(state) is None
        state = vote(state, seat, "s2", "s5", "s1", "s3")
    assert step(vote(state, "s5", "s2", "s1", "s3")) == DONE


def test_an_early_end_names_the_silent_and_estimates_what_was_saved():
    state = proposed(5)
    for seat in ("s1", "s3", "s4", "s5"):
        state = vote(state, seat, "s2", usage=Usage(completion_tokens=20))
    result = whole(state)
    assert [(each.seat, each.round, each.code) for each in result.failures] == [
        ("s2", 1, "not_needed")
    ]
    assert not result.degraded
    assert result.saved_tokens_estimate == round((5 * 2 + 4 * 20) / 9)


def test_garbage_ballots_alone_decide_nothing_early():
    state = say(say(proposed(), "s1", "garbage"), "s2", "garbage")
    assert step(state) is None
    state = say(state, "s3", "garbage")
    assert step(state) == DONE
    assert standing(state).reason.endswith("(no ballots)")


def test_answers_to_a_past_or_a_future_round_are_ignored():
    state = proposed()
    late = heard(state, answer("s1", "late"), answer("s2", "early", round=2))
    assert late == replace(state, ignored=state.ignored + 2)


def test_an_answer_for_another_task_is_ignored():
    assert heard(start(), answer("s1", task_id="t-2")).answers == ()


def test_a_round_out_of_turn_changes_nothing():
    state = all_say(start())
    opened = opening_of(state, OpenRound("ballot", SEATS))
    again = advance(advance(state, opened), opened)
    assert again == replace(advance(state, opened), ignored=1)
    assert advance(end(state), opened) == replace(end(state), ignored=1)


def test_answers_not_heard_when_the_round_was_decided_are_left_out():
    state = say(say(start(quorum=1), "s1"), "s2")
    opened = replace(opening_of(state, OpenRound("ballot", SEATS)), heard=1)
    assert [each.seat for each in advance(state, opened).answers] == ["s1"]


def test_a_seat_that_failed_in_one_round_is_asked_again_in_the_next():
    state = start("ranked", 4)
    state = go_on(fail(say(say(say(state, "s1"), "s2"), "s3"), "s4"))
    assert "s4" in {each.request.seat for each in asks(state)}


def test_seeds_differ_by_seat_and_round():
    state = start(sampling=Sampling(seed=7))
    first = [each.request.sampling.seed for each in asks(state)]
    second = [each.request.sampling.seed for each in asks(go_on(all_say(state)))]
    assert first + second == [7, 8, 9, 10, 11, 12]


def test_what_was_refused_fails_with_its_code_before_anything_is_asked():
    state = start()
    refused = ErrorBody(code="unknown_role", message="no council 'SALES'")
    state = replace(state, opened=replace(state.opened, refused=refused, seats=()))
    decision = decide(state, NOW)
    assert decision.command == Conclude("FAILED", "unknown_role: no council 'SALES'")
