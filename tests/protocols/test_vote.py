"""The protocol `vote`: samples are drawn while the result is open; who is split reconsiders."""

from actors.deliberations import prompts
from actors.deliberations.deliberation import Conclude, OpenRound
from actors.deliberations.rounds import asks
from actors.protocols import vote as voting
from tests.protocols.talks import DONE, SEATS, answered, go_on, say, standing, start, step, whole


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
