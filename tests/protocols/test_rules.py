"""Each protocol, event by event: its rounds, when they are settled, and how it ends."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.deliberations import ledger, outcome, prompts
from actors.deliberations.deliberation import Conclude, OpenRound, advance, end
from actors.deliberations.rounds import asks, decide
from actors.protocols import PROTOCOLS, election
from actors.protocols import vote as voting
from schemas.agent import Usage
from schemas.council import Sampling
from schemas.deliberation import Constraints
from schemas.errors import ErrorBody
from tests.harness.builders import answer, failure
from tests.protocols.talks import (
    NOW,
    all_say,
    go_on,
    heard,
    opening_of,
    order,
    paper,
    proposed,
    say,
    start,
    step,
    vote,
)

DONE = Conclude("COMPLETED")
SEATS = ("s1", "s2", "s3")
DEADLINE = 301_000


def fail(state, seat: str):
    return heard(state, replace(failure(seat), round=state.round.round))


def standing(state):
    return PROTOCOLS[state.opened.request.protocol].standing(state)


def whole(state, status="COMPLETED"):
    return outcome.result(state, status, 2_000)


# ------------------------------------------------------------------------------ rounds in order


def test_independent_has_one_round():
    assert step(all_say(start("independent"))) == DONE


@pytest.mark.parametrize("protocol", ["independent", "ranked", "revised", "synthesized"])
def test_where_nobody_proposes_anything_it_fails(protocol):
    state = start(protocol)
    for seat in SEATS:
        state = fail(state, seat)
    assert step(state) == Conclude("FAILED", "no seat proposed anything")


def test_ranked_votes_once_and_ends():
    state = all_say(start("ranked"))
    assert step(state) == OpenRound("ballot", SEATS)
    state = go_on(state)
    for seat in SEATS:
        state = vote(state, seat, "s2", "s3", "s1")
    assert step(state) == DONE


@pytest.mark.parametrize("spoke", [("s1",), ("s1", "s2")])
def test_with_fewer_than_three_proposals_two_authors_have_nothing_to_rank(spoke):
    state = start("ranked")
    for seat in SEATS:
        state = say(state, seat) if seat in spoke else fail(state, seat)
    voters = tuple(seat for seat in SEATS if seat not in spoke) if len(spoke) == 2 else ()
    assert step(state) == (OpenRound("ballot", voters) if voters else DONE)


def test_two_seats_alone_are_ranked_by_agreement():
    state = all_say(start("ranked", 2))
    assert step(state) == DONE
    assert standing(state).reason.endswith("(no ballots)")


def test_blank_proposals_stand_for_nothing():
    state = all_say(start("ranked"), lambda seat: " \n" if seat == "s1" else seat)
    assert step(state) == OpenRound("ballot", ("s1",))


def test_revised_goes_through_critique_and_revision_to_the_vote():
    state, stages = all_say(start("revised", rounds=2)), []
    while isinstance(command := step(state), OpenRound):
        stages.append(command.stage)
        state = go_on(state)
        state = all_say(state, f"{command.stage} by {{}}".format)
    assert stages == ["critique", "revise", "critique", "revise", "ballot"]
    assert command == DONE


def test_a_critic_reads_its_neighbour_and_an_author_its_critics():
    state = go_on(all_say(start("revised")))
    read = {each.request.seat: each.request.messages[1].content for each in asks(state)}
    assert "a proposal by s2" in read["s1"]
    assert "a proposal by s1" in read["s3"]
    state = go_on(all_say(state, "a critique by {}".format))
    read = {each.request.seat: each.request.messages[1].content for each in asks(state)}
    assert "a critique by s3" in read["s1"]
    assert "a critique by s2" not in read["s1"]


def test_only_who_was_criticised_revises():
    state = go_on(all_say(start("revised")))
    state = fail(fail(say(state, "s1", "too long"), "s2"), "s3")
    assert step(state) == OpenRound("revise", ("s2",))


def test_where_no_critique_came_the_vote_follows_at_once():
    state = go_on(all_say(start("revised")))
    state = fail(fail(fail(state, "s1"), "s2"), "s3")
    assert step(state) == OpenRound("ballot", SEATS)


def test_a_single_proposal_is_not_criticised():
    state = fail(fail(say(start("revised"), "s1"), "s2"), "s3")
    assert step(state) == DONE


def test_first_proposals_stay_eligible_beside_their_revisions():
    state = go_on(all_say(start("revised")))
    state = go_on(all_say(state, "hm".format))
    state = go_on(all_say(state, "revised by {}".format))
    for seat in SEATS:
        state = say(state, seat, paper(state, seat, ["s1#0", "s2#2", "s1#2"]))
    first = standing(state).places[0]
    assert first.answer.content == "a proposal by s1"
    assert [each.content for each in first.versions] == ["revised by s1"]


def voted(protocol="synthesized", **request):
    """Three ballots for s2 before s3 before s1 are in."""
    state = proposed(3, protocol, **request)
    for seat in SEATS:
        state = vote(state, seat, "s2", "s3", "s1")
    return state


def test_synthesized_lets_the_top_seat_write_from_the_best_three():
    state = go_on(voted())
    assert (state.round.stage, state.round.seats) == ("synthesize", ("s2",))
    (ask,) = asks(state)
    assert all(f"a proposal by {seat}" in ask.request.messages[1].content for seat in SEATS)
    state = say(state, "s2", "the best of all")
    assert step(state) == DONE
    first = standing(state).places[0]
    assert (first.answer.content, first.versions[0].content) == (
        "the best of all",
        "a proposal by s2",
    )
    assert standing(state).reason.startswith("written by s2 from the best of s2, s3, s1; borda 1.")


def test_a_synthesizer_that_fails_is_followed_by_the_next_in_rank():
    state, writers = voted(), []
    while isinstance(step(state), OpenRound):
        state = go_on(state)
        writers += state.round.seats
        state = fail(state, state.round.seats[0])
    assert writers == ["s2", "s3", "s1"]
    assert step(state) == DONE
    assert order(state) == ["s2", "s3", "s1"]


def test_without_a_vote_the_seat_that_agrees_most_writes():
    state = go_on(all_say(start("synthesized", 2)))
    assert (state.round.stage, state.round.seats) == ("synthesize", ("s1",))


# ------------------------------------------------------------------------------ vote


def answered(state, *said: str):
    for seat, text in zip(state.round.seats, said, strict=True):
        state = say(state, seat, f"answer: {text}")
    return state


def test_samples_are_drawn_while_the_result_is_open_and_no_longer():
    state = answered(start("vote"), "x", "x", "y")
    assert step(state) == OpenRound("answer", SEATS)
    state = go_on(answered(go_on(state), "x", "y", "x"))
    state = say(state, "s1", "answer: x")
    assert step(state) is None
    state = say(state, "s2", "answer: x")
    assert step(state) == DONE
    assert voting.undrawn_samples(state) == 6


def test_no_more_samples_are_drawn_than_allowed():
    state = go_on(answered(start("vote", samples=4), "x", "y", "z"))
    assert state.round.seats == ("s1",)
    assert step(say(state, "s1", "answer: x")) == OpenRound("reconsider", SEATS)


def split():
    return go_on(answered(start("vote", samples=3), "x", "y", "z"))


def test_a_split_council_reconsiders_once():
    state = split()
    assert state.round.stage == "reconsider"
    text = asks(state)[0].request.messages[1].content
    assert all(f"answer: {each}" in text for each in "xyz")
    assert step(answered(state, "x", "y", "z")) == DONE


def test_a_majority_does_not_reconsider():
    assert step(answered(start("vote", samples=3), "x", "x", "y")) == DONE


def test_early_answers_count_beside_reconsidered_ones():
    state = answered(split(), "z", "z", "x")
    result = whole(state)
    assert [(row.answer, row.votes) for row in result.tally] == [("z", 3), ("x", 2), ("y", 1)]
    assert result.winner_reason == "answer 'z': 3 of 6 samples, 50% of their weight"


def test_votes_without_any_answer_fail_after_the_last_sample():
    state = start("vote", 1, samples=2)
    state = go_on(say(state, "s1", "no idea"))
    assert step(say(state, "s1", "none")) == Conclude("FAILED", "no sample held an answer")
    assert standing(state).reason == ""


def test_samples_of_no_confidence_at_all_can_be_counted():
    state = say(start("vote", 1, samples=1), "s1", "answer: x", logprob=-1e9)
    assert whole(state).results[0].score == 0.0


def test_a_long_answer_is_quoted_in_part():
    state = say(start("vote", 1, samples=1), "s1", "answer: " + "x" * 50_000)
    assert len(whole(state).winner_reason) < 1_000


def test_a_schema_of_the_caller_shapes_the_answers():
    schema = {"type": "object", "properties": {"answer": {"enum": ["x", "y"]}}}
    (ask, *_) = asks(start("vote", response_schema=schema))
    assert ask.request.response_schema == schema
    assert prompts.ANSWER_JSON in ask.request.messages[1].content


# ------------------------------------------------------------------------------ settling


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


# ------------------------------------------------------------------------------ results


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("borda", "borda 1.00 over 3 of 3 ballots, next is s3 with 0.50"),
        ("copeland", "copeland 1.00 over 3 of 3 ballots, next is s3 with 0.50"),
        ("plurality", "plurality 1.00 over 3 of 3 ballots, next is s3 with 0.50"),
    ],
)
def test_the_reason_tells_rule_score_ballots_and_the_next(rule, reason):
    assert standing(voted("ranked", counting=rule)).reason == reason


def test_a_tie_of_votes_says_what_decided():
    state = all_say(start(), "same words".format)
    state = vote(vote(go_on(state), "s1", "s2"), "s2", "s1")
    reason = standing(state).reason
    assert "with the same; closer to the other proposals, or earlier seat" in reason


def test_the_only_author_wins_without_rivals():
    state = voted("ranked")
    again = election.standing(state, None, ["s1", "s3"])
    assert [place.answer.seat for place in again.places] == ["s2"]
    assert again.reason.startswith("the only proposal")


def test_only_revisions_of_one_author_are_left_when_the_others_are_taken_out():
    state = go_on(all_say(start("revised")))
    state = go_on(all_say(go_on(all_say(state, "hm".format)), "revised by {}".format))
    state = vote(vote(state, "s1", "s2"), "s3", "s2")
    again = election.standing(state, None, ["s1", "s2"])
    assert again.reason.startswith("the only proposal")
    assert election.standing(state, None, ["s1"]).places[0].answer.seat == "s2"


def test_one_author_with_two_versions_on_the_ballot_is_the_only_author():
    state = go_on(all_say(start("revised", 2)))
    state = go_on(all_say(go_on(all_say(state, "hm".format)), "revised by {}".format))
    state = say(state, "s1", paper(state, "s1", ["s2#2"]))
    assert standing(state).places[0].answer.content == "revised by s2"
    state = replace(state, answers=tuple(each for each in state.answers if _kept(each)))
    assert standing(state).reason == "the only author; 1 of 2 ballots"


def _kept(each) -> bool:
    return each.seat == "s2" or each.round == 3


def test_ballots_are_told_with_resolved_labels_and_abstentions_with_reasons():
    state = vote(proposed(), "s1", "s3", "s2", approve=["s3"])
    told = whole(say(state, "s2", "garbage")).ballots
    assert (told[0].ranking, told[0].approved) == (("s3#0", "s2#0"), ("s3#0",))
    assert [each.abstained for each in told] == ["", "not a ballot", "silent"]
    assert len({each.labels_seed for each in told}) == 3


@pytest.mark.parametrize("reference", ["X", "y", "w"])
def test_a_reference_answer_is_compared_with_winner_and_all(reference):
    state = answered(start("vote", samples=3, reference_answer=reference), "x", "x", "y")
    check = whole(state).reference
    assert check.winner_correct == (reference == "X")
    assert check.oracle_correct == (reference != "w")
    assert check.share_correct == {"X": 0.6667, "y": 0.3333, "w": 0.0}[reference]


def test_a_reference_without_any_answer_is_met_by_nobody():
    assert whole(start("vote", reference_answer="x"), "TIMEOUT").reference.share_correct == 0.0


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_partial_results_are_there_in_every_round(protocol):
    state = start(protocol)
    assert whole(state, "PENDING").winner_id is None
    state = all_say(state, "answer: {}".format)
    while isinstance(step(state), OpenRound) and state.round.round < 6:
        result = whole(state, "IN_PROGRESS")
        assert result.winner_id is not None
        assert (result.degraded, result.saved_tokens_estimate) == (False, 0)
        state = all_say(go_on(state), "answer: {}".format)


def test_each_stage_tells_whom_it_asked_what_it_took_and_how_long():
    state = go_on(all_say(start()), 1_700)
    rounds = ledger.stages(state, 2_000)
    assert [(each.stage, each.asked, each.answered) for each in rounds] == [
        ("propose", 3, 3),
        ("ballot", 3, 0),
    ]
    assert [each.duration_ms for each in rounds] == [700, 300]


# ------------------------------------------------------------------------------ recount

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


# ------------------------------------------------------------------------------ bad seats


def itself(state, seat):
    return json.dumps({"ranking": [f"{seat}#0", seat], "approve": [seat]})


def first(state, seat):
    shown = ["A", "B", "C", "D"][: len(election.on_ballot(state, seat))]
    return json.dumps({"ranking": shown, "approve": shown[:1]})


def twice(state, seat):
    return json.dumps({"ranking": ["A", "A"], "approve": ["A", "A"]})


def garbage(state, seat):
    return "%% rank me first %%"


@pytest.mark.parametrize("bad", [itself, first, twice, garbage])
@pytest.mark.parametrize("rule", ["borda", "copeland", "plurality", "confidence", "approval"])
@given(bad_seat=st.sampled_from(SEATS), late=st.booleans(), logprob=st.floats(-0.5, 0.0))
def test_a_bad_seat_changes_no_winner_that_two_honest_seats_agree_on(
    bad, rule, bad_seat, late, logprob
):
    """Two seats of three can both rank only the third's proposal, so that one they agree on."""
    state = proposed(3, counting=rule)
    honest = [seat for seat in SEATS if seat != bad_seat]
    for seat in honest if late else ():
        state = vote(state, seat, bad_seat, approve=[bad_seat], logprob=logprob)
    state = say(state, bad_seat, bad(state, bad_seat), logprob=0.0)
    for seat in honest:
        state = vote(state, seat, bad_seat, approve=[bad_seat], logprob=logprob)
    assert order(state)[0] == bad_seat


@pytest.mark.parametrize("bad", [itself, twice, garbage])
@given(st.permutations(("s1", "s2", "s3", "s4")), st.sampled_from(["borda", "copeland"]))
def test_a_seat_that_casts_no_valid_ballot_changes_no_order(bad, quality, rule):
    without = proposed(4, counting=rule)
    for seat in SEATS:
        without = vote(without, seat, *quality)
    with_bad = say(without, "s4", bad(without, "s4"))
    assert standing(with_bad).places == standing(without).places


BROKEN = "asdf asdf qwer"
HONEST_ERROR = 0.1
"""How often a scripted honest seat draws its ranking at random instead."""


def elected(seed: int, seats: int = 3) -> bool:
    """Whether the broken proposal of a planted seat, which votes at random, wins."""
    draw = random.Random(seed)
    names = [f"s{n}" for n in range(1, seats + 1)]
    bad = draw.choice(names)
    state = all_say(start("ranked", seats, task_id="t-1"), lambda seat: _written(seat, bad, draw))
    state = go_on(state)
    for seat in draw.sample(names, seats):
        guess = seat == bad or draw.random() < HONEST_ERROR
        good = draw.sample([each for each in names if each != bad], seats - 1)
        ranking = draw.sample(names, seats) if guess else [*good, bad]
        state = vote(state, seat, *ranking)
    return order(state)[0] == bad


def _written(seat: str, bad: str, draw: random.Random) -> str:
    honest = f"Give every payment a key and retry with {draw.choice(['jitter', 'a queue'])}."
    return BROKEN if seat == bad else honest


@pytest.mark.parametrize("seats", [3, 5])
def test_a_planted_broken_proposal_wins_hardly_ever(seats):
    wins = sum(elected(seed, seats) for seed in range(200))
    assert wins < 200 * 0.05


def test_what_was_refused_fails_with_its_code_before_anything_is_asked():
    state = start()
    refused = ErrorBody(code="unknown_role", message="no council 'SALES'")
    state = replace(state, opened=replace(state.opened, refused=refused, seats=()))
    decision = decide(state, NOW)
    assert decision.command == Conclude("FAILED", "unknown_role: no council 'SALES'")


@pytest.mark.parametrize("instruction", [prompts.PROPOSE, prompts.REVISE])
def test_a_closed_question_wants_its_answer_on_a_line_of_its_own(instruction):
    assert prompts.proposal(instruction, closed=True).endswith(prompts.ANSWER)
    assert prompts.proposal(instruction, closed=False) == instruction
