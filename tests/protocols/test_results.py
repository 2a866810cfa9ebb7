"""What a result tells: the reason, ballots, a reference answer, stages, also half-way."""

import pytest
from msgspec.structs import replace

from actors.deliberations import ledger
from actors.deliberations.deliberation import OpenRound
from actors.protocols import PROTOCOLS, election
from tests.protocols.talks import (
    all_say,
    answered,
    go_on,
    paper,
    proposed,
    say,
    standing,
    start,
    step,
    vote,
    voted,
    whole,
)


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
