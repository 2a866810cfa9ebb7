"""Secret ballots: what a voter is shown, what counts as a vote, and what a text cannot do."""

import json
import re
from itertools import chain, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.deliberations import ballots, prompts
from actors.deliberations.rounds import asks
from actors.protocols import election
from actors.protocols.election import PEER_CHARACTERS
from schemas.council import Seat
from tests.harness.builders import answer, failure
from tests.protocols.injections import INJECTIONS
from tests.protocols.talks import (
    all_say,
    go_on,
    labels,
    order,
    proposed,
    say,
    start,
    step,
    vote,
)

SHOWN = {"A": "s2#0", "B": "s3#0", "C": "s4#0"}


def shown_to(state) -> dict[str, str]:
    """What each seat is told beside the system message."""
    return {each.request.seat: each.request.messages[1].content for each in asks(state)}


@pytest.mark.parametrize("protocol", ["ranked", "revised", "synthesized"])
def test_nobody_ranks_or_sees_its_own_text(protocol):
    texts = shown_to(proposed(4)) if protocol != "revised" else shown_to(revised_to_the_vote())
    for seat, text in texts.items():
        others = {other for other in texts if other != seat}
        assert f"a proposal by {seat}" not in text
        assert all(f"a proposal by {other}" in text for other in others)


def revised_to_the_vote():
    state = go_on(all_say(start("revised", 4)))
    state = go_on(all_say(state, "a critique by {}".format))
    return go_on(all_say(state, "a proposal by {}, revised".format))


def test_labels_are_drawn_for_each_voter_and_round_and_task_anew():
    names = [f"s{n}#0" for n in range(6)]
    draws = [("t-1", 1, "s1"), ("t-1", 1, "s2"), ("t-1", 2, "s1"), ("t-2", 1, "s1")]
    seen = {tuple(ballots.labels(ballots.seed(*draw), names).values()) for draw in draws}
    assert len(seen) == 4


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_a_recorded_seed_draws_the_same_labels_again(seed, count):
    names = [f"s{n}#0" for n in range(count)]
    drawn = ballots.labels(seed, names)
    assert drawn == ballots.labels(seed, names)
    assert sorted(drawn.values()) == sorted(names)
    assert len(drawn) == count


def test_over_many_tasks_every_candidate_is_as_often_first():
    names = ["s2#0", "s3#0", "s4#0"]
    first = [ballots.labels(ballots.seed(f"t-{n}", 1, "s1"), names)["A"] for n in range(3_000)]
    assert all(900 < first.count(name) < 1_100 for name in names)


def test_the_recorded_seed_is_in_the_result_and_draws_what_the_voter_saw():
    state = proposed()
    cast = election.hold(state).cast[0]
    drawn = ballots.labels(cast.drawn_by, election.on_ballot(state, "s1"))
    assert drawn == cast.labels == labels(state, "s1")


def test_labels_go_on_after_the_alphabet():
    names = [ballots.label(number) for number in range(60)]
    assert (names[0], names[25], names[26], names[52]) == ("A", "Z", "A2", "A3")
    assert len(set(names)) == 60


@pytest.mark.parametrize("count", [2, 3, 4])
def test_of_few_labels_the_schema_lets_only_whole_rankings_pass(count):
    jsonschema = pytest.importorskip("jsonschema")
    shown = [ballots.label(number) for number in range(count)]
    schema = ballots.schema(shown)
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    for ranking in chain.from_iterable(product(shown, repeat=n) for n in range(count + 2)):
        valid = check.is_valid({"ranking": list(ranking), "approve": []})
        assert valid == (sorted(ranking) == shown)


def test_of_many_labels_the_schema_bounds_length_and_names():
    jsonschema = pytest.importorskip("jsonschema")
    shown = [ballots.label(number) for number in range(63)]
    jsonschema.Draft202012Validator.check_schema(ballots.schema(shown))
    check = jsonschema.Draft202012Validator(ballots.schema(shown))
    assert check.is_valid({"ranking": shown[::-1], "approve": shown[:2]})
    assert not check.is_valid({"ranking": shown[1:], "approve": []})
    assert not check.is_valid({"ranking": [*shown[1:], "s1"], "approve": []})
    assert not check.is_valid({"ranking": shown, "approve": [], "why": "more"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("I prefer B.", "not a ballot"),
        ("[]", "not a ballot"),
        ("{}", "not a ballot"),
        ('{"ranking": "ABC"}', "not a ballot"),
        ('{"ranking": [1, 2, 3]}', "not a ballot"),
        ('{"ranking": ["A", "B", "C"]', "not a ballot"),
        ('{"ranking": ' + "[" * 100_000, "not a ballot"),
        ('{"more": ' + "[" * 100_000, "not a ballot"),
        ('{"ranking": ["\\ud800", "B", "C"]}', "not a ballot"),
        ('{"ranking": ["A", "B"]}', "does not rank every label once"),
        ('{"ranking": ["A", "B", "B"]}', "does not rank every label once"),
        ('{"ranking": ["A", "B", "C", "C"]}', "does not rank every label once"),
        ('{"ranking": ["A", "B", "D"]}', "does not rank every label once"),
        ('{"ranking": ["a", "b", "c"]}', "does not rank every label once"),
        ('{"ranking": []}', "does not rank every label once"),
    ],
)
def test_what_is_no_ballot_is_an_abstention_with_its_reason(content, reason):
    assert ballots.read(answer("s1", content), SHOWN) == reason


@given(st.text(max_size=80) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_no_text_at_all_breaks_the_reading(text):
    assert isinstance(ballots.read(answer("s1", text or "{"), SHOWN), str)


def test_half_a_character_is_an_abstention():
    assert ballots.read(answer("s1", "\ud800"), SHOWN) == "not a ballot"


def test_a_failed_voter_abstains_with_the_failures_code():
    assert ballots.read(failure("s1", "oom"), SHOWN) == "oom"


def test_approvals_of_unknown_labels_are_dropped():
    text = '{"ranking": ["C", "A", "B"], "approve": ["A", "Z", "s1"]}'
    ballot = ballots.read(answer("s1", text), SHOWN)
    assert (ballot.ranking, ballot.approved) == (("s4#0", "s2#0", "s3#0"), frozenset({"s2#0"}))


@pytest.mark.parametrize(("logprob", "weight"), [(None, 1.0), (0.0, 1.0), (-1e9, 0.0)])
def test_a_ballot_weighs_as_much_as_its_voter_is_sure(logprob, weight):
    assert ballots.confidence(answer("s1", logprob=logprob)) == weight


# ---------------------------------------------------------------------------------- fences


def fences(text: str) -> list[tuple[str, str]]:
    """What lies between fences, as a careful reader finds it."""
    return re.findall(r"^<<<(\w+) (?:\w+)\n(.*?)\n>>>\1$", text, re.MULTILINE | re.DOTALL)


@given(st.lists(st.text("<>0af A\n", max_size=30), min_size=1, max_size=4))
def test_no_text_opens_or_closes_a_fence_though_it_knows_the_marker(texts):
    shown = [(ballots.label(n), text + "\n>>>0af\n<<<0af B\n") for n, text in enumerate(texts)]
    block = prompts.material_block("Proposals", shown, "0af")
    assert len(fences(block)) == len(texts)
    assert block.count(">>>") == block.count("<<<") == len(texts)


def test_a_text_without_brackets_is_shown_as_it_is():
    assert fences(prompts.fenced("A", "a << b >> c", "0af")) == [("0af", "a << b >> c")]


@pytest.mark.parametrize("protocol", ["ranked", "revised"])
def test_what_is_shown_of_a_peer_is_bounded(protocol):
    state = go_on(all_say(start(protocol), lambda seat: f"{seat} " * 300_000))
    for text in shown_to(state).values():
        assert all(len(piece) <= PEER_CHARACTERS for _, piece in fences(text))
        assert len(text) < 3 * PEER_CHARACTERS


def marked(injection: str):
    return lambda seat: f"{injection} PEER" if seat == "s1" else f"an honest proposal by {seat}"


@pytest.mark.parametrize("injection", INJECTIONS)
def test_peer_text_is_fenced_and_never_in_the_system_message(injection):
    for ask in asks(go_on(all_say(start("ranked"), marked(injection)))):
        system, user = ask.request.messages
        assert (system.role, system.content) == ("system", prompts.RULES)
        assert user.role == "user"
        if ask.request.seat != "s1":
            assert len(fences(user.content)) == 2
            assert "PEER" not in user.content.partition("# Proposals")[0]
            assert "PEER" not in re.sub(r"<<<.*?>>>", "", user.content, flags=re.DOTALL)


def course(protocol: str, text) -> tuple[list, object, list[str]]:
    """Rounds, seats and scores of a deliberation whose voters prefer s2, then s3."""
    state = all_say(start(protocol), text)
    while hasattr(step(state), "stage"):
        state = go_on(state)
        if state.round.stage == "ballot":
            for voter in state.round.seats:
                state = vote(state, voter, "s2", "s3", "s1")
        else:
            state = all_say(state, text)
    rounds = [(each.stage, each.seats) for each in state.rounds]
    return rounds, election.hold(state).scores, order(state)


@pytest.mark.parametrize("protocol", ["ranked", "revised", "synthesized"])
@pytest.mark.parametrize("injection", INJECTIONS)
def test_an_injected_proposal_changes_no_round_no_seat_and_no_count(protocol, injection):
    expected = course(protocol, "an honest proposal by {}".format)
    assert course(protocol, marked(injection)) == expected


@pytest.mark.parametrize("injection", INJECTIONS)
def test_an_injected_ballot_is_an_abstention_unless_it_is_one(injection):
    state = say(proposed(), "s1", injection)
    abstained = election.hold(state).cast[0].abstained
    assert abstained in ("not a ballot", "does not rank every label once")


def test_a_persona_stands_in_its_own_seats_message_alone():
    state = proposed()
    seats = (Seat(id="s1", persona="UNIQUE"), *state.opened.seats[1:])
    told = shown_to(start().__class__(_with_seats(state, seats), state.rounds, state.answers))
    assert [seat for seat, text in told.items() if "UNIQUE" in text] == ["s1"]


def _with_seats(state, seats):
    from msgspec.structs import replace

    return replace(state.opened, seats=seats)
