"""A reasoning model's thinking is kept apart from its answer, in whatever pieces it arrives."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.engines.thinking import Plain, ThinkTags

WHOLE = "<think>\nweigh both sides\n</think>\n\nUse a key."


def split(pieces: list[str], *, opened: bool = False) -> tuple[str, str]:
    """The thinking and the answer that a splitter makes of pieces."""
    splitter = ThinkTags(opened)
    deltas = [
        delta
        for at, piece in enumerate(pieces, 1)
        for delta in splitter.feed(piece, (), last=at == len(pieces))
    ]
    said = [
        "".join(each.text for each in deltas if each.thinking is want) for want in (True, False)
    ]
    return said[0], said[1]


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def test_thinking_and_answer_are_told_apart():
    assert split([WHOLE]) == ("weigh both sides", "Use a key.")


@given(places=st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_the_answer_is_the_same_in_whatever_pieces_it_comes(places):
    thinking, said = split(cut(WHOLE, places))
    assert (thinking.strip(), said) == ("weigh both sides", "Use a key.")


def test_a_prompt_may_have_opened_the_block():
    assert split(["weigh", "</think>", "Go."], opened=True) == ("weigh", "Go.")


def test_a_model_that_does_not_think_is_left_alone():
    assert split(["Use ", "a <b> key."]) == ("", "Use a <b> key.")


@pytest.mark.parametrize("text", ["<think>never closed", "<think>"])
def test_thinking_that_never_ends_is_no_answer(text: str):
    assert split([text])[1] == ""


def test_a_plain_splitter_passes_everything_on():
    assert [each.text for each in Plain().feed("<think>x", (), last=True)] == ["<think>x"]
