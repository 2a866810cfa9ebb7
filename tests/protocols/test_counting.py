"""Counting rules: what holds for all ballots, and known elections."""

from itertools import permutations, product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.deliberations.counting import Ballot, bounds, count, settled
from schemas.deliberation import CountingRule

NAMES = ("ann", "bob", "cid", "dee")
RULES = get_args(CountingRule)
every_rule = pytest.mark.parametrize("rule", RULES)
weights = st.sampled_from([0.0, 0.2, 0.5, 1.0])


@st.composite
def cast(draw, names, least=0, most=5, full=False):
    """Ballots on `names`; unless full, a voter may have one candidate of its own."""
    ballots = []
    for number in range(draw(st.integers(least, most))):
        own = None if full else draw(st.sampled_from([None, *names]))
        ranking = draw(st.permutations([name for name in names if name != own]))
        approved = frozenset(draw(st.sets(st.sampled_from(ranking or names))))
        weight = draw(weights)
        ballots.append(Ballot(f"v{number}", tuple(ranking), approved & {*ranking}, weight))
    return ballots


@st.composite
def elections(draw, full=False, least=0, most=5, size=4):
    names = NAMES[: draw(st.integers(2, size))]
    return names, draw(cast(names, least, most, full))


def beats(one, other, ballots) -> bool:
    wins = sum(each.ranking.index(one) < each.ranking.index(other) for each in ballots)
    return wins * 2 > len(ballots)


@given(elections(full=True, least=1, most=7))
def test_a_condorcet_winner_scores_one_under_copeland_and_nobody_else_does(election):
    names, ballots = election
    winners = [
        one for one in names if all(beats(one, other, ballots) for other in names if other != one)
    ]
    scores = count("copeland", names, ballots)
    assert [name for name in names if scores[name] == 1.0] == winners


@every_rule
@given(election=elections(), data=st.data())
def test_renaming_candidates_renames_the_scores(rule, election, data):
    names, ballots = election
    new = dict(zip(names, data.draw(st.permutations(names)), strict=True))
    renamed = [
        replace(
            each,
            ranking=tuple(new[name] for name in each.ranking),
            approved=frozenset(new[name] for name in each.approved),
        )
        for each in ballots
    ]
    scores = count(rule, names, ballots)
    assert count(rule, names, renamed) == {new[name]: scores[name] for name in names}


@every_rule
@given(election=elections(), data=st.data())
def test_the_order_of_ballots_and_candidates_changes_nothing(rule, election, data):
    names, ballots = election
    mixed = data.draw(st.permutations(ballots))
    again = count(rule, data.draw(st.permutations(names)), mixed)
    assert again == pytest.approx(count(rule, names, ballots), abs=1e-12)


@every_rule
@given(election=elections())
def test_all_scores_lie_between_nought_and_one(rule, election):
    assert all(0.0 <= score <= 1.0 for score in count(rule, *election).values())


@every_rule
@given(election=elections(), data=st.data())
def test_an_abstention_of_one_of_the_outstanding_leaves_the_count_as_it_was(rule, election, data):
    names, ballots = election
    before = count(rule, names, ballots)
    asked = data.draw(st.lists(st.sampled_from([frozenset(names), frozenset(names[1:])])))
    limits = bounds(rule, names, ballots, asked)
    assert all(limits[name].low - 1e-12 <= before[name] <= limits[name].high for name in names)
    assert {name: each.low for name, each in bounds(rule, names, ballots, ()).items()} == before


def completions(rule, open_to):
    """Every ballot that could still come on these candidates, as far as the rule looks at it."""
    names = sorted(open_to)
    yield None
    if rule == "approval":
        for marks in product((False, True), repeat=len(names)):
            chosen = [name for name, mark in zip(names, marks, strict=True) if mark]
            yield Ballot("late", tuple(names), frozenset(chosen))
        return
    for order in permutations(names):
        for weight in (0.0, 0.3, 1.0) if rule == "confidence" else (1.0,):
            yield Ballot("late", order, weight=weight)


def ends(rule, names, ballots, outstanding):
    """The scores under every way in which the outstanding ballots may turn out."""
    for late in product(*(completions(rule, each) for each in outstanding)):
        yield count(rule, names, [*ballots, *filter(None, late)])


asked_for = st.lists(st.sampled_from([frozenset(NAMES[:3]), frozenset(NAMES[:2])]), max_size=2)


@every_rule
@given(ballots=cast(NAMES[:3]), outstanding=asked_for)
def test_the_bounds_hold_the_score_of_every_completion(rule, ballots, outstanding):
    names = NAMES[:3]
    limits = bounds(rule, names, ballots, outstanding)
    for scores in ends(rule, names, ballots, outstanding):
        for name in names:
            assert limits[name].low - 1e-9 <= scores[name] <= limits[name].high + 1e-9


@every_rule
@given(ballots=cast(NAMES[:3], least=1, most=7), outstanding=asked_for)
def test_what_is_settled_no_completion_changes(rule, ballots, outstanding):
    names = NAMES[:3]
    if not settled(rule, names, ballots, outstanding):
        return
    now = count(rule, names, ballots)
    first = max(names, key=now.__getitem__)
    for scores in ends(rule, names, ballots, outstanding):
        told = {name: round(score, 4) for name, score in scores.items()}
        assert all(told[first] > told[name] for name in names if name != first)


@every_rule
def test_an_election_with_a_clear_leader_is_settled_before_the_last_ballot(rule):
    approved = frozenset({"ann"})
    ballots = [Ballot(f"v{n}", ("ann", "bob", "cid"), approved) for n in range(8)]
    assert settled(rule, NAMES[:3], ballots, [frozenset(NAMES[:3])])


@every_rule
def test_an_election_that_one_ballot_may_turn_is_open(rule):
    ballots = [Ballot("v", ("ann", "bob"), frozenset({"ann"}))]
    assert not settled(rule, NAMES[:2], ballots, [frozenset(NAMES[:2])] * 2)


def test_a_lead_smaller_than_scores_are_told_settles_nothing():
    ballots = [Ballot(f"v{n}", ("ann", "bob"), weight=0.5) for n in range(2)]
    ballots.append(Ballot("w", ("bob", "ann"), weight=0.99999))
    assert not settled("confidence", NAMES[:2], ballots, ())


@every_rule
@given(first=st.sampled_from(NAMES), data=st.data())
def test_whom_all_others_put_first_wins(rule, first, data):
    ballots = []
    for voter in NAMES:
        rest = data.draw(st.permutations([each for each in NAMES if each not in (voter, first)]))
        ranking = tuple(rest) if voter == first else (first, *rest)
        weight = data.draw(st.sampled_from([0.1, 0.6, 1.0]))
        ballots.append(Ballot(voter, ranking, frozenset(ranking[:1]), weight))
    scores = count(rule, NAMES, ballots)
    assert all(scores[first] > scores[name] for name in NAMES if name != first)


@given(election=elections(), data=st.data())
def test_weights_matter_under_confidence_alone(election, data):
    names, ballots = election
    other = [replace(each, weight=data.draw(weights)) for each in ballots]
    for rule in RULES:
        if rule != "confidence":
            assert count(rule, names, other) == count(rule, names, ballots)


@given(election=elections())
def test_equal_weights_count_as_borda(election):
    names, ballots = election
    halved = [replace(each, weight=0.5) for each in ballots]
    assert count("confidence", names, halved) == pytest.approx(count("borda", names, ballots))


def capital(*cities: str, share: int) -> list[Ballot]:
    return [Ballot(f"{cities[0]}{n}", cities, frozenset(cities[:2])) for n in range(share)]


CITIES = ("Memphis", "Nashville", "Chattanooga", "Knoxville")
TENNESSEE = [
    *capital("Memphis", "Nashville", "Chattanooga", "Knoxville", share=42),
    *capital("Nashville", "Chattanooga", "Knoxville", "Memphis", share=26),
    *capital("Chattanooga", "Knoxville", "Nashville", "Memphis", share=15),
    *capital("Knoxville", "Chattanooga", "Nashville", "Memphis", share=17),
]
"""The usual example of the literature: where shall the capital of Tennessee be?"""


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("borda", (126 / 300, 194 / 300, 173 / 300, 107 / 300)),
        ("confidence", (126 / 300, 194 / 300, 173 / 300, 107 / 300)),
        ("plurality", (0.42, 0.26, 0.15, 0.17)),
        ("approval", (0.42, 0.68, 0.58, 0.32)),
        ("copeland", (0.0, 1.0, 2 / 3, 1 / 3)),
    ],
)
def test_the_capital_of_tennessee(rule, expected):
    scores = count(rule, CITIES, TENNESSEE)
    assert tuple(scores.values()) == pytest.approx(expected)


@pytest.mark.parametrize("rule", ["borda", "copeland", "plurality", "confidence"])
def test_condorcets_paradox_is_a_tie(rule):
    wheel = [("ann", "bob", "cid"), ("bob", "cid", "ann"), ("cid", "ann", "bob")]
    scores = count(rule, NAMES[:3], [Ballot(each[0], each) for each in wheel])
    assert len(set(scores.values())) == 1


def test_bordas_own_example_turns_plurality_over():
    """Eight voters put A first, thirteen put it last (de Borda 1784)."""
    groups = [(1, "ABC"), (7, "ACB"), (7, "BCA"), (6, "CBA")]
    ballots = [Ballot(f"{o}{n}", tuple(o)) for share, o in groups for n in range(share)]
    plurality, borda = count("plurality", "ABC", ballots), count("borda", "ABC", ballots)
    assert max("ABC", key=plurality.__getitem__) == "A"
    assert [round(borda[name] * 42) for name in "ABC"] == [16, 21, 26]


def test_a_sure_voter_outweighs_two_that_guess():
    ballots = [Ballot("sure", ("ann", "bob"), weight=0.9)]
    ballots += [Ballot(f"guess{n}", ("bob", "ann"), weight=0.3) for n in range(2)]
    assert count("confidence", NAMES[:2], ballots) == pytest.approx({"ann": 0.6, "bob": 0.4})
    assert count("borda", NAMES[:2], ballots) == pytest.approx({"ann": 1 / 3, "bob": 2 / 3})


@every_rule
def test_who_stands_on_no_ballot_scores_nothing_but_a_draw_of_duels(rule):
    expected = 0.5 if rule == "copeland" else 0.0
    assert count(rule, NAMES[:2], []) == {"ann": expected, "bob": expected}


def test_a_ballot_on_a_single_candidate_counts_whole():
    assert count("borda", ("ann",), [Ballot("v", ("ann",))]) == {"ann": 1.0}


@every_rule
def test_a_name_on_a_ballot_that_stands_for_nothing_is_passed_over(rule):
    ballots = [Ballot("v", ("zoe", "ann", "bob"), frozenset({"zoe", "ann"}))]
    scores = count(rule, NAMES[:2], ballots)
    assert set(scores) == {"ann", "bob"}
    assert scores["ann"] >= scores["bob"]
