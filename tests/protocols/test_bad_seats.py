"""A seat that votes for itself, at random or not at all decides nothing alone."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocols import election
from tests.protocols.talks import SEATS, all_say, go_on, order, proposed, say, standing, start, vote


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
