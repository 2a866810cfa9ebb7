"""The bundled model, asked through vLLM, about words it was never trained on."""

import json
import random
import re
from statistics import mean

import pytest

from actors.councils.defaults import default_councils
from actors.deliberations import ballots as voting
from actors.deliberations import prompts

pytestmark = pytest.mark.usefixtures("measuring")


def test_proposals_speak_of_words_never_seen_in_training(proposals):
    from figures import without_echo, words_of

    hits = [
        sum(any(part in left for part in words_of(word)) for word in task.words) >= 2
        for task, answers in proposals
        for left in [set(without_echo(answer.text, task.text)) for answer in answers]
    ]
    assert mean(hits) >= 0.65


def test_proposals_end_by_themselves(proposals):
    assert mean(answer.reason == "stop" for _, three in proposals for answer in three) >= 0.9


def test_the_seats_of_a_council_differ(proposals):
    from figures import likeness

    pairs = [
        likeness(three[a].text, three[b].text)
        for _, three in proposals
        for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert mean(pairs) < 0.6


def test_one_seat_says_different_things_under_different_seeds(engine, proposals):
    from corpus.mix import user_message

    task = proposals[0][0]
    seat = default_councils()[0].seats[0]
    user = user_message(task.block, [], prompts.seat_block("DEV", seat.persona, prompts.PROPOSE))
    assert len({one.text for one in engine.ask([user], samples=8)[0]}) >= 5


def test_the_same_seed_gives_the_same_text(engine, proposals):
    task = proposals[0][0]
    assert engine.ask([task.block], seed=7) == engine.ask([task.block], seed=7)


def ballots(engine, lexicon, fault, count=30):
    """Ballots over three proposals of which one has the fault, with the label of that one."""
    from corpus.mix import user_message
    from corpus.peers import draw_peers, show
    from corpus.personas import seat
    from corpus.tasks import make_task

    rng = random.Random(f"test:{fault}")
    users, bad = [], []
    for _ in range(count):
        task, (role, persona) = make_task(lexicon, rng), seat(lexicon, rng)
        peers = draw_peers(task, lexicon, rng, 3, 1, fault)
        seat_text = prompts.seat_block(role, persona.text, prompts.BALLOT)
        users.append(user_message(task.block, [show(peers, rng)], seat_text))
        bad.append(next(peer.label for peer in peers if peer.fault))
    answers = engine.ask(users, schemas=[voting.schema("ABC")] * count)
    return [(json.loads(answer.text), label) for (answer,), label in zip(answers, bad, strict=True)]


@pytest.mark.parametrize("fault", ["off topic", "repeats", "garbled", "cut off", "empty", "echo"])
def test_ballots_put_a_faulty_proposal_last_and_do_not_approve_it(engine, lexicon, fault):
    found = ballots(engine, lexicon, fault)
    assert mean(ballot["ranking"][-1] == label for ballot, label in found) >= 0.7
    assert mean(label in ballot["approve"] for ballot, label in found) <= 0.2


def test_ballots_rank_every_label_once(engine, lexicon):
    found = ballots(engine, lexicon, "empty")
    assert mean(sorted(ballot["ranking"]) == ["A", "B", "C"] for ballot, _ in found) >= 0.9


def test_closed_questions_are_answered_with_errors_that_a_vote_removes(engine):
    from questions import closed_questions

    found = closed_questions(engine, 40, lambda _: None)
    ones = [level["mean_accuracy_of_all_samples"] for level in found.values()]
    fifteen = mean(level["majority_of_15"]["share"] for level in found.values())
    assert all(0.3 <= one <= 0.75 for one in ones)
    assert fifteen >= mean(ones) + 0.08
    assert all(level["different_wrong_answers_in_15"] >= 1.5 for level in found.values())


def test_a_closed_answer_is_a_worked_line_and_a_result(engine):
    from corpus.mix import user_message

    seat = default_councils()[0].seats[0]
    seat_text = prompts.seat_block("DATA", seat.persona, prompts.ANSWER)
    user = user_message(prompts.task_block("How much is 7 + 5?"), [], seat_text)
    texts = [one.text for one in engine.ask([user], samples=10)[0]]
    assert sum(bool(re.fullmatch(r"7 \+ 5 = \d+\nanswer: \d+", text)) for text in texts) >= 8
