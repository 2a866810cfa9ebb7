"""Negative controls: a bad answer among the model's real ones lowers what quality measures.

The measures are those that a result is reported with (`actors/deliberations/quality.py`). Every
control puts the bad answer in the place of one seat of a council, or of all three.
"""

from statistics import mean

import pytest

from actors.deliberations import quality

pytestmark = pytest.mark.usefixtures("measuring")


@pytest.fixture(scope="module")
def councils(proposals):
    """For every task: its whole text as the seats were shown it, and three real proposals."""
    return [(task.block, [answer.text for answer in answers]) for task, answers in proposals]


def measured(councils):
    """Mean diversity and mean relevance over councils of (task, texts)."""
    contents = [(task, [quality.content(text, task) for text in texts]) for task, texts in councils]
    return (
        mean(quality.diversity(said) for _, said in contents),
        mean(quality.relevance(said, task) for task, said in contents),
    )


def with_third_seat(councils, answers):
    """The same councils, the third seat's text replaced by another."""
    return [
        (task, [*texts[:2], answer])
        for (task, texts), answer in zip(councils, answers, strict=True)
    ]


def of_the_council_before(councils):
    """For each council the proposals that another one wrote for its own task."""
    return [councils[place - 1][1] for place in range(len(councils))]


def test_real_proposals_are_diverse_and_relevant(councils):
    diversity, relevance = measured(councils)
    assert diversity >= 0.8
    assert relevance >= 0.2


def test_three_identical_answers_have_no_diversity(councils):
    same = [(task, [texts[0]] * 3) for task, texts in councils]
    assert measured(same)[0] == 0.0


def test_an_agent_that_repeats_another_lowers_diversity(councils):
    repeated = with_third_seat(councils, [texts[0] for _, texts in councils])
    assert measured(repeated)[0] <= measured(councils)[0] - 0.2


def test_an_agent_that_echoes_the_task_lowers_diversity_and_relevance(councils):
    echoed = with_third_seat(councils, [task for task, _ in councils])
    real, bad = measured(councils), measured(echoed)
    assert bad[0] <= real[0] - 0.4
    assert bad[1] <= real[1] * 0.8


def test_an_echo_alone_is_not_relevant_at_all(councils):
    assert measured([(task, [task] * 3) for task, _ in councils]) == (0.0, 0.0)


def test_an_answer_to_another_task_lowers_relevance(councils):
    other = with_third_seat(councils, [texts[2] for texts in of_the_council_before(councils)])
    assert measured(other)[1] <= measured(councils)[1] * 0.85


def test_answers_to_another_task_are_hardly_relevant(councils):
    tasks = [task for task, _ in councils]
    shifted = list(zip(tasks, of_the_council_before(councils), strict=True))
    assert measured(shifted)[1] <= measured(councils)[1] * 0.4


@pytest.mark.parametrize("nothing", ["", "..."])
def test_an_agent_that_says_nothing_lowers_diversity_and_relevance(councils, nothing):
    silent = with_third_seat(councils, [nothing] * len(councils))
    real, bad = measured(councils), measured(silent)
    assert bad[0] <= real[0] - 0.4
    assert bad[1] <= real[1] * 0.8
