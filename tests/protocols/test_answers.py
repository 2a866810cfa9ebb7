"""Closed answers: how they are found, made equal, tallied, and when enough are drawn."""

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.deliberations.answers import (
    CERTAIN,
    ahead_probability,
    extract,
    normalised,
    stays_ahead,
    tally,
)
from schemas.agent import AgentResponse
from schemas.codec import encode
from tests.harness.builders import answer

SURE = 0.0


def sample(seat: str, said: str, logprob: float | None = None) -> AgentResponse:
    return answer(seat, f"answer: {said}", logprob=logprob)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"answer": "Yes."}', "yes"),
        ('{"answer": 42}', "42"),
        ('{"answer": 42.0, "why": "because"}', "42"),
        ('{"answer": true}', "true"),
        ('{"answer": ["b", "a"]}', '["b", "a"]'),
        ('{"b": 1, "a": 2}', '{"a": 2, "b": 1}'),
        ('```json\n{"answer": "Yes."}\n```', "yes"),
        ('Six by seven:\n\n```\n{"answer": 42}\n```\nThat is all.', "42"),
        ("```python\nprint(42)\n```\nanswer: 42", "42"),
        ('"Paris"', "paris"),
        ("17", "17"),
        ("Six by seven.\nanswer: 42", "42"),
        ("Answer: 1\nno, wait\nANSWER = 2", "2"),
        ("**Answer:** `B`", "b"),
        ("> answer - : x", "x"),
        ("answer:\n\n  below ", "below"),
        ("answer:\r\n7\r\n", "7"),
        ("the answer is 42", None),
        ("my answer: 42", None),
        ("answer:   ", None),
        ("", None),
        ("null", None),
        ('{"answer": null}', None),
        ("[" * 100_000, None),
        ("answer: [[", "[["),
    ],
)
def test_an_answer_is_found_where_it_is_written(text, found):
    assert extract(text) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes", " yes. "),
        ("YES!", '"yes"'),
        ("New  York", "new\tyork"),
        ("STRASSE", "straße"),
        ("1,000", "1000"),
        ("1_000", "1 000"),
        ("1,234,567.50", "1234567.5"),
        ("42.0", "42"),
        ("+7", "7"),
        ("007", "7"),
        ("-0", "0"),
        (".5", "0.5"),
        ("-.5", "-0.50"),
        ("**42.**", "42"),
        ("9" * 5_000, "+" + "9" * 5_000 + ".0"),
    ],
)
def test_equal_answers_become_equal(one, other):
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("yes", "no"),
        ("0.5", "5"),
        (".5", "5"),
        ("-1", "1"),
        ("1.10", "1.01"),
        ("1, 2", "12"),
        ("3 4", "34"),
        ("12345678901234567890", "12345678901234567891"),
        ("1" * 400, "2" * 400),
        ("0.12345678901234567891", "0.12345678901234567892"),
        ("a b", "ab"),
    ],
)
def test_different_answers_stay_different(one, other):
    assert normalised(one) != normalised(other)


@given(st.text(max_size=40))
def test_what_is_normal_stays_as_it_is(text):
    assert normalised(normalised(text)) == normalised(text)


@given(st.integers(), st.sampled_from(["{}", "{:,}", "{:_}", " {}. ", "+{}", "{}.0", "**{}**"]))
def test_a_number_is_the_same_however_it_is_written(number, form):
    written = form.format(abs(number))
    assert normalised(written) == str(abs(number))
    assert normalised(f"-{abs(number)}") == (f"-{abs(number)}" if number else "0")


@given(st.text(max_size=60), st.sampled_from(["", "answer: ", '{"answer": "']))
def test_no_text_breaks_the_extraction(text, head):
    found = extract(head + text)
    assert found is None or encode(found)


def test_half_a_character_in_an_answer_can_be_stored_all_the_same():
    assert encode(extract('{"answer": "\\ud800"}'))


@pytest.mark.parametrize("text", ["\n" * 200_000, "answer: " + " " * 200_000 + "x", "- " * 100_000])
@pytest.mark.timeout(10)
def test_a_long_text_of_nothing_is_read_in_no_time(text):
    extract(text)


def test_the_heavier_answer_is_first_though_fewer_gave_it():
    rows = tally([sample("a", "x", -0.1), *(sample("b", "y", -2.0) for _ in range(3))])
    assert [(row.answer, row.votes) for row in rows] == [("x", 1), ("y", 3)]
    assert rows[0].weight == pytest.approx(math.exp(-0.1))


def test_of_equal_weight_the_more_frequent_answer_is_first():
    half = math.log(0.5)
    rows = tally([sample("a", "x", SURE), sample("b", "y", half), sample("c", "y", half)])
    assert [row.answer for row in rows] == ["y", "x"]


def test_of_equal_weight_and_number_the_earlier_answer_is_first():
    rows = tally([sample("a", "x"), sample("b", "y"), sample("c", "y"), sample("d", "x")])
    assert [row.answer for row in rows] == ["x", "y"]


def test_the_most_confident_sample_speaks_for_its_answer():
    rows = tally([sample("a", "x", -3.0), sample("b", "X.", -0.5), sample("c", "x", -1.0)])
    assert rows[0].best.seat == "b"


def test_samples_without_an_answer_abstain():
    assert tally([answer("a", "no idea"), sample("b", "x")])[0].votes == 1
    assert tally([answer("a", "no idea")]) == ()


def rows_of(counts: list[int]):
    named = [("abc"[number], votes) for number, votes in enumerate(counts)]
    return tally([sample("s", name) for name, votes in named for _ in range(votes)])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=3), st.integers(0, 4))
def test_who_is_certainly_ahead_stays_ahead_whatever_comes(counts, left):
    rows = rows_of(counts)
    if not rows or probability(rows, left) >= CERTAIN:
        return
    turned = False
    for late in product("abc", repeat=left):
        samples = [sample("s", row.answer) for row in rows for _ in range(row.votes)]
        after = tally([*samples, *(sample("s", each) for each in late)])
        turned |= after[0].answer != rows[0].answer or after[0].weight == _second(after)
    assert stays_ahead(rows, left) == (not turned)


def probability(rows, left: int) -> float:
    leader, second, *others = [row.votes for row in rows] + [0] * (2 - len(rows))
    return ahead_probability(leader, second, sum(others), left)


def _second(rows) -> float:
    return rows[1].weight if len(rows) > 1 else -1.0


@pytest.mark.parametrize(
    ("votes", "left", "enough"),
    [
        ([3], 100, False),
        ([3], 12, True),
        ([4, 1], 10, False),
        ([5, 1], 9, True),
        ([5, 4], 6, False),
    ],
    ids=str,
)
def test_a_clear_lead_is_enough_and_must_be_clearer_the_more_is_left(votes, left, enough):
    assert stays_ahead(rows_of(votes), left) is enough


def test_without_any_answer_only_the_last_sample_ends_it():
    assert not stays_ahead((), 1)
    assert stays_ahead((), 0)


def played(leader: int, second: int, others: int, left: int) -> float:
    """The same by drawing one sample after the other, each as likely as its kind was so far."""
    if left == 0:
        return 1.0 if leader > second else 0.5 if leader == second else 0.0
    kinds = leader + 1, second + 1, others + 1
    after = (
        played(leader + 1, second, others, left - 1),
        played(leader, second + 1, others, left - 1),
        played(leader, second, others + 1, left - 1),
    )
    return sum(k * p for k, p in zip(kinds, after, strict=True)) / sum(kinds)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 6))
def test_the_probability_is_that_of_drawing_the_samples_that_are_left(leader, second, others, left):
    found = ahead_probability(leader, second, others, left)
    assert found == pytest.approx(played(leader, second, others, left), abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 30))
def test_more_votes_for_the_leader_make_it_surer_and_for_the_second_less(
    leader, second, others, left
):
    now = ahead_probability(leader, second, others, left)
    assert 0.0 <= now <= 1.0
    surer = ahead_probability(leader + 1, second, others, left)
    assert surer >= now >= ahead_probability(leader, second + 1, others, left)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_a_tie_is_as_likely_as_not(votes, others, left):
    assert ahead_probability(votes, votes, others, left) == 0.5
