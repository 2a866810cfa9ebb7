"""Which round follows which in each protocol, who is asked in it and what."""

import pytest

from actors.deliberations import prompts
from actors.deliberations.deliberation import Conclude, OpenRound, advance
from actors.deliberations.rounds import asks
from schemas.deliberation import RoundOpened
from tests.protocols.talks import (
    DONE,
    SEATS,
    all_say,
    fail,
    go_on,
    order,
    paper,
    say,
    standing,
    start,
    step,
    vote,
    voted,
)


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


def test_a_synthesis_that_nobody_decided_on_has_nothing_to_stand_before():
    """A forged round may be answered where nothing was proposed."""
    state = start("synthesized", 2)
    forged = RoundOpened(
        task_id=state.opened.task_id,
        round=1,
        stage="synthesize",
        seats=("s1",),
        heard=0,
        opened_at_ms=state.opened.opened_at_ms,
    )
    state = say(advance(state, forged), "s1", "the best of none")
    assert standing(state).places == ()


def test_without_a_vote_the_seat_that_agrees_most_writes():
    state = go_on(all_say(start("synthesized", 2)))
    assert (state.round.stage, state.round.seats) == ("synthesize", ("s1",))


@pytest.mark.parametrize("instruction", [prompts.PROPOSE, prompts.REVISE])
def test_a_closed_question_wants_its_answer_on_a_line_of_its_own(instruction):
    assert prompts.proposal(instruction, closed=True).endswith(prompts.ANSWER)
    assert prompts.proposal(instruction, closed=False) == instruction
