"""What is measured of text is content: nothing is earned by copying, repeating or silence."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.deliberations import quality
from actors.deliberations.quality import agreement, content, diversity, relevance, similarity, words

TASK = "How should the billing client retry a failed payment without charging a customer twice?"
THREE = (
    "Give every payment an idempotency key, so that a retry cannot charge the customer again.",
    "Let the billing client back off exponentially and stop after five failed attempts.",
    "Write the payment to an outbox first; a worker retries and the ledger removes doubles.",
)
OFF_TOPIC = (
    "Bananas ripen faster beside apples.",
    "The cat slept on a warm windowsill.",
    "Rain is expected over the northern hills.",
)

texts = st.lists(st.text(max_size=60), max_size=5)
prose = st.lists(st.sampled_from(["retry", "the", "key", "client", "apple", "once", "ledger"]))
contents = st.lists(prose.map(tuple), max_size=5)


def taken(*answers: str) -> list[quality.Words]:
    return [content(answer, TASK) for answer in answers]


def test_good_answers_score_well():
    assert diversity(taken(*THREE)) > 0.8
    assert relevance(taken(*THREE), TASK) > 0.25


def test_three_identical_answers_have_no_diversity():
    assert diversity(taken(THREE[0], THREE[0], THREE[0])) == 0.0


def test_three_echoes_of_the_task_have_no_diversity_and_no_relevance():
    echoes = taken(TASK, f"agent-dev-001: {TASK}", f"Task: {TASK.upper()} agent-dev-002")
    assert diversity(echoes) < 0.1
    assert relevance(echoes, TASK) == 0.0


def test_an_id_makes_no_difference_between_equal_answers():
    ids = ("agent-dev-001", "agent-qa-002", "6f1c2a3b4d5e", "018f3c5a-7b21-4c3d-9e8f-001122334455")
    assert diversity(taken(*(f"{each} {THREE[0]}" for each in ids))) == 0.0


def test_empty_answers_score_nothing():
    assert diversity(taken("", " ", "…")) == 0.0
    assert relevance(taken("", " ", "…"), TASK) == 0.0
    assert agreement(taken("", "", "")) == (0.0, 0.0, 0.0)


def test_silence_beside_an_answer_is_no_other_view():
    assert diversity(taken(THREE[0], "", "")) == 0.0


def test_answers_off_topic_are_not_relevant():
    assert relevance(taken(*OFF_TOPIC), TASK) < relevance(taken(*THREE), TASK) / 4


def test_one_answer_alone_agrees_with_nobody_and_is_not_diverse():
    assert agreement(taken(THREE[0])) == (0.0,)
    assert diversity(taken(THREE[0])) == 0.0
    assert diversity([]) == 0.0
    assert relevance([], TASK) == 0.0


def test_the_answer_closest_to_the_others_agrees_most():
    outlier = OFF_TOPIC[0]
    middle = "Give every payment an idempotency key and let the client back off exponentially."
    scores = agreement(taken(THREE[0], middle, outlier))
    assert max(scores) == scores[1]
    assert min(scores) == scores[2]


def test_an_echo_agrees_less_than_an_answer():
    scores = agreement(taken(THREE[0], THREE[0] + " Measure it.", TASK))
    assert scores[2] < scores[0] / 2


def test_an_echo_inside_an_answer_is_cut_out_and_the_rest_kept():
    assert content(f"{TASK} {OFF_TOPIC[1]}", TASK) == words(OFF_TOPIC[1])


def test_a_task_of_stopwords_has_no_relevance_to_measure():
    assert relevance(taken(*THREE), "What is it?") == 0.0


def test_a_task_of_one_word_can_be_answered():
    assert relevance([content("billing fails at night", "billing")], "billing") in (0.0, 1.0)


@given(one=prose.map(tuple), other=prose.map(tuple))
def test_similarity_is_symmetric_and_bounded(one, other):
    assert similarity(one, other) == similarity(other, one)
    assert 0.0 <= similarity(one, other) <= 1.0


@given(text=prose.filter(bool).map(tuple))
def test_a_text_is_wholly_similar_to_itself(text):
    assert similarity(text, text) == 1.0


@given(answers=texts, task=st.text(max_size=60))
def test_every_measure_lies_between_0_and_1(answers, task):
    taken_ = [content(answer, task) for answer in answers]
    measures = (*agreement(taken_), diversity(taken_), relevance(taken_, task))
    assert all(0.0 <= measure <= 1.0 for measure in measures)


@given(answers=contents, data=st.data())
def test_the_order_of_answers_changes_nothing(answers, data):
    order = data.draw(st.permutations(range(len(answers))))
    shuffled = [answers[at] for at in order]
    assert diversity(shuffled) == pytest.approx(diversity(answers))
    scores = agreement(answers)
    assert agreement(shuffled) == pytest.approx([scores[at] for at in order])


def test_all_orders_of_three_real_answers_agree():
    scores = dict(zip(THREE, agreement(taken(*THREE)), strict=True))
    for order in permutations(THREE):
        assert agreement(taken(*order)) == pytest.approx([scores[each] for each in order])
