"""The one result: what it tells of seats, and that it always fits into a message."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.deliberations import outcome
from schemas.agent import Usage
from schemas.codec import decode
from schemas.deliberation import Constraints
from schemas.result import Deliberation, Failure
from tests.harness.builders import after, answer, failure


def test_a_complete_result_names_winner_order_and_time():
    state = after(answer("s1", "a b c"), answer("s2", "a b d"), answer("s3", "x"))
    result = outcome.result(state, "COMPLETED", 1_250)
    assert result.winner_id == result.results[0].proposal.author_id
    assert [each.rank for each in result.results] == [1, 2, 3]
    scores = [each.score for each in result.results]
    assert scores == sorted(scores, reverse=True)
    assert (result.duration_ms, result.degraded, result.failures) == (250, False, ())


def test_a_failed_seat_makes_the_result_degraded_and_says_why():
    result = outcome.result(after(answer("s1"), failure("s2", "oom"), answer("s3")), "COMPLETED", 2)
    assert result.degraded
    assert result.failures == (Failure(seat="s2", code="oom", message="it broke"),)
    assert len(result.results) == 2


@pytest.mark.parametrize(("status", "code"), [("TIMEOUT", "timeout"), ("CANCELLED", "cancelled")])
def test_who_had_not_answered_at_the_end_is_named(status, code):
    result = outcome.result(after(answer("s2")), status, 301_000)
    assert [each.proposal.author_id for each in result.results] == ["s2"]
    assert [(each.seat, each.code) for each in result.failures] == [("s1", code), ("s3", code)]
    assert result.degraded


def test_silent_seats_are_no_failures_while_it_runs():
    assert outcome.result(after(answer("s1")), "IN_PROGRESS", 2_000).failures == ()


def test_nobodys_answer_is_a_result_without_winner():
    result = outcome.result(after(failure("s1"), seats=1), "FAILED", 2_000, "no seat proposed")
    assert (result.winner_id, result.results, result.reason) == (None, (), "no seat proposed")


def test_tokens_of_every_seat_are_summed_up():
    usage = Usage(prompt_tokens=10, cached_tokens=8, completion_tokens=3)
    state = after(answer("s1", usage=usage), answer("s2", usage=usage), failure("s3"))
    total = outcome.result(state, "COMPLETED", 2_000).usage
    assert total == Usage(prompt_tokens=20, cached_tokens=16, completion_tokens=8)


def test_a_clock_that_went_back_gives_no_negative_duration():
    assert outcome.result(after(), "CANCELLED", 500).duration_ms == 0


def test_a_result_by_a_clock_that_is_behind_follows_from_what_it_says_itself():
    state = after()
    submitted = replace(state.opened, submitted_at_ms=state.opened.opened_at_ms + 45)
    state = replace(state, opened=submitted)
    told = outcome.result(state, "FAILED", submitted.asked_at_ms - 40)
    assert outcome.result(state, "FAILED", told.created_at_ms + told.duration_ms) == told


def test_the_callers_metadata_comes_back():
    constraints = Constraints(metadata={"ticket": "B-17"})
    result = outcome.result(after(constraints=constraints), "TIMEOUT", 2_000)
    assert result.metadata == {"ticket": "B-17"}


def with_texts(*texts: str) -> Deliberation:
    answers = [answer(f"s{number}", text) for number, text in enumerate(texts, 1)]
    return outcome.result(after(*answers, seats=len(texts)), "COMPLETED", 2_000)


def test_a_result_that_fits_is_left_alone():
    whole = with_texts("a", "b", "c")
    assert decode(Deliberation, outcome.fitted(whole, 100_000)) == whole


def test_losing_texts_go_first_and_the_winner_stays_whole():
    whole = with_texts("same words here " * 100, "same words here " * 100, "odd " * 400)
    fitted = decode(Deliberation, outcome.fitted(whole, 5_000))
    assert fitted.truncated
    assert fitted.results[0] == whole.results[0]
    assert [each.proposal.content for each in fitted.results[1:]] == ["", ""]
    assert [each.score for each in fitted.results] == [each.score for each in whole.results]


def test_a_winner_that_is_too_large_is_cut():
    fitted = decode(Deliberation, outcome.fitted(with_texts("word " * 10_000), 4_000))
    text = fitted.results[0].proposal.content
    assert fitted.truncated
    assert text
    assert ("word " * 10_000).startswith(text)


@settings(max_examples=100)
@given(
    texts=st.lists(st.text(max_size=300).map(lambda text: text * 20), min_size=1, max_size=4),
    limit=st.integers(4_096, 20_000),
)
def test_a_fitted_result_never_exceeds_the_limit_and_keeps_the_winner(texts, limit):
    whole = with_texts(*(text or "x" for text in texts))
    body = outcome.fitted(whole, limit)
    fitted = decode(Deliberation, body)
    assert len(body) <= limit
    assert fitted.winner_id == whole.winner_id
    assert [each.rank for each in fitted.results] == [each.rank for each in whole.results]


def test_a_failure_with_much_metadata_is_fitted_too():
    failures = tuple(
        Failure(seat=f"s{n}", code="internal", message="\x01" * 2_000) for n in range(64)
    )
    nobody = outcome.result(after(failure("s1"), seats=1), "FAILED", 2_000)
    large = replace(
        nobody, failures=failures, metadata={f"k{n}": "\x01" * 2_000 for n in range(32)}
    )
    body = outcome.fitted(large, 65_536)
    assert len(body) <= 65_536
    assert len(decode(Deliberation, body).failures) == 64
