"""Proposals: a few sentences by role and persona, with the task's own words in them."""

import random
from collections.abc import Sequence

from corpus.concerns import CLOSINGS, MEASURES, OPENINGS, ROLE_LINES
from corpus.personas import Persona
from corpus.tasks import Task
from corpus.words import expand, sentence

VOICES = (
    "[As|Being|Speaking as] [a|the] {head}, I [say|hold|propose|suggest]: {rest}",
    "{first} [That is what a {head} wants|So speaks a {head}|A {head} would ask that].",
    "{first} [A|Any] {head} [wants|needs|expects] that.",
)
HABIT_VOICES = (
    "[One who|Someone who|Whoever] {habit} [begins|starts] [here|at once]: {rest}",
    "{first} [Here speaks one|I am one] who {habit}.",
)


class Slots:
    """Hands out a task's content words in turn, in a random order."""

    def __init__(self, words: Sequence[str], rng: random.Random) -> None:
        self.words = rng.sample(list(words), len(words))
        self.place = 0

    def next(self) -> str:
        """The next word; the round begins again when all were used."""
        self.place += 1
        return self.words[(self.place - 1) % len(self.words)]


def say(template: str, slots: Slots, rng: random.Random, role: str = "") -> str:
    """Expand a template and fill its slots."""
    text = expand(template, rng)
    values = {"x": slots.next()}
    if "{y}" in text:
        values["y"] = slots.next()
    return sentence(text.format(role=role, **values))


def lower_first(text: str) -> str:
    """Continue a sentence after a colon."""
    return text[:1].lower() + text[1:]


def opening(persona: Persona, slots: Slots, rng: random.Random) -> str:
    """The first sentence, in the voice of the persona."""
    first = say(OPENINGS[persona.concern], slots, rng)
    known = bool(persona.concern)
    if rng.random() > (0.3 if known else 0.75):
        return first
    voices = HABIT_VOICES if persona.habit and rng.random() < 0.5 else VOICES
    text = expand(rng.choice(voices), rng)
    return sentence(
        text.format(head=persona.head, habit=persona.habit, first=first, rest=lower_first(first))
    )


def propose(task: Task, role: str, persona: Persona, rng: random.Random, size: int = 0) -> str:
    """A proposal of `size` sentences (drawn when not given) that uses the task's words."""
    slots = Slots(task.words, rng)
    count = size or rng.choice((3, 3, 4, 4))
    lines = [opening(persona, slots, rng)]
    concern = persona.concern
    pool = list(MEASURES[concern])
    if rng.random() < 0.15:
        pool += MEASURES[""]
    rng.shuffle(pool)
    rest = [say(template, slots, rng) for template in pool[: max(1, count - 2)]]
    if rng.random() < 0.75:
        rest.insert(
            rng.randint(0, len(rest)),
            say(rng.choice(ROLE_LINES.get(role, ROLE_LINES[""])), slots, rng, role),
        )
    if rng.random() < 0.3:
        rest.append(say(rng.choice(CLOSINGS), slots, rng))
    lines += rest[: max(1, count - 1)]
    if task.extra and rng.random() < 0.6:
        lines.append(
            sentence(
                expand(
                    f"[This respects|It also keeps|Mind] [the rule on|the need for] the {rng.choice(task.extra)}.",
                    rng,
                )
            )
        )
    return " ".join(lines)


def peer_text(task: Task, role: str, persona: Persona, rng: random.Random, size: int = 0) -> str:
    """What some other agent may have written: seldom long, sometimes of another style."""
    if rng.random() < 0.85:
        return propose(task, role, persona, rng, size or rng.choice((1, 1, 2, 3)))
    slots = Slots(task.words, rng)
    loose = (
        "Use the {x} for the {y}.",
        "The {x} needs work, and so does the {y}.",
        "First the {x}. Then the {y}.",
    )
    return say(rng.choice(loose), slots, rng) + " " + say(rng.choice(CLOSINGS), slots, rng)
