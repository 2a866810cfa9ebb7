"""Measure closed questions: one sample, votes of 5 and 15, and how the errors spread."""

import random
from collections import Counter
from collections.abc import Callable
from statistics import mean
from typing import Any

from corpus import closed
from corpus.mix import user_message
from corpus.personas import seat
from corpus.words import Lexicon
from figures import answer_of, majority, wilson
from sampling import Engine

from actors.deliberations import prompts

VOTES = (1, 5, 15)


def closed_questions(
    engine: Engine, count: int = 500, progress: Callable[[str], None] = print
) -> dict[str, Any]:
    """Accuracy by level and kind with 1, 5 and 15 samples at temperature 0.8."""
    lexicon = Lexicon("held")
    found: dict[str, Any] = {}
    for level in closed.LEVELS:
        rng = random.Random(f"eval:closed:{level}")
        progress(f"{count} closed questions of level {level}, {VOTES[-1]} samples each")
        chosen, users = list[closed.Question](), list[str]()
        seen: set[str] = set()
        while len(users) < count:
            question = closed.draw(
                closed.KINDS[len(users) % len(closed.KINDS)], level, lexicon, rng
            )
            if question.text in seen:
                continue
            seen.add(question.text)
            role, persona = seat(lexicon, rng)
            block = prompts.task_block(question.text)
            chosen.append(question)
            users.append(
                user_message(block, [], prompts.seat_block(role, persona.text, prompts.ANSWER))
            )
        drawn = engine.ask(users, max_tokens=96, samples=VOTES[-1])
        given = [[answer_of(one.text) for one in answers] for answers in drawn]
        found[f"level_{level}"] = level_figures(chosen, given)
    return found


def level_figures(questions: list[closed.Question], given: list[list[str]]) -> dict[str, Any]:
    """The figures of one level."""
    right = [question.answer for question in questions]
    figures: dict[str, Any] = {}
    for votes in VOTES:
        hits = [
            majority(texts[:votes]) == answer for texts, answer in zip(given, right, strict=True)
        ]
        figures[f"majority_of_{votes}"] = wilson(sum(hits), len(hits))
    wrong = [
        Counter(t for t in texts if t != answer) for texts, answer in zip(given, right, strict=True)
    ]
    tops = [
        counts.most_common(1)[0][1] / sum(counts.values())
        for counts in wrong
        if sum(counts.values()) >= 4
    ]
    figures["mean_accuracy_of_all_samples"] = round(
        mean(text == answer for texts, answer in zip(given, right, strict=True) for text in texts),
        4,
    )
    figures["different_wrong_answers_in_15"] = round(mean(len(counts) for counts in wrong), 2)
    figures["share_of_the_commonest_wrong_answer"] = round(mean(tops), 3) if tops else 0.0
    figures["without_answer_line"] = round(mean(not text for texts in given for text in texts), 4)
    for kind in closed.KINDS:
        places = [place for place, question in enumerate(questions) if question.kind == kind]
        figures[kind] = {
            f"majority_of_{votes}": wilson(
                sum(majority(given[p][:votes]) == right[p] for p in places), len(places)
            )
            for votes in (1, 15)
        }
    return figures
