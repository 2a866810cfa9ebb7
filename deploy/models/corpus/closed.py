"""Closed questions in four kinds and three levels, with a worked line, by fallible teachers.

The teachers whose lines are trained on err at a known rate: in that share of the training
samples the decisive value is another one, drawn from several. A model that imitates them is
right more often than it gives any single wrong answer, so a vote over samples can win.
"""

import random
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from corpus.words import Lexicon, Split

KINDS = ("arithmetic", "ordering", "counting", "table")
LEVELS = (1, 2, 3)


@dataclass(frozen=True)
class Question:
    """A question with its right answer, the worked line and plausible wrong answers."""

    kind: str
    level: int
    text: str
    answer: str
    work: Callable[[str], str]
    wrong: tuple[str, ...]

    def solution(self, rng: random.Random, error_rate: float) -> str:
        """The line and the answer as a teacher writes them who errs at this rate."""
        value = rng.choice(self.wrong) if rng.random() < error_rate else self.answer
        return f"{self.work(value)}\nanswer: {value}"


def near(value: int, rng: random.Random) -> tuple[str, ...]:
    """Wrong values around a right one."""
    steps = [-3, -2, -1, 1, 2, 3, -10, 10]
    return tuple(str(value + step) for step in rng.sample(steps, len(steps)) if value + step >= 0)


def arithmetic(level: int, lexicon: Lexicon, rng: random.Random) -> Question:
    """One sum or difference of small numbers, of two digits, or two steps."""
    if level == 1:
        a, b, sign = rng.randint(1, 20), rng.randint(1, 20), rng.choice("+-")
        a, b = (max(a, b), min(a, b)) if sign == "-" else (a, b)
        value, head = (a + b if sign == "+" else a - b), f"{a} {sign} {b} = "
        asked = f"{a} {sign} {b}"
    elif level == 2:
        a, b = rng.randint(10, 79), rng.randint(2, 19)
        value, asked, head = a + b, f"{a} + {b}", f"{a} + {b} = "
    else:
        a, b, c = rng.randint(2, 9), rng.randint(2, 6), rng.randint(1, 20)
        value, asked = a * b + c, f"{a} * {b} + {c}"
        head = f"{a} * {b} = {a * b}, {a * b} + {c} = "
    thing = lexicon.noun(rng)
    form = rng.choice(
        (
            "What is {q}?",
            "Compute {q}.",
            "How much is {q}?",
            "A {t} counts {q}. What is the result?",
        )
    )
    return Question(
        "arithmetic",
        level,
        form.format(q=asked, t=thing),
        str(value),
        lambda v: head + v,
        near(value, rng),
    )


def ordering(level: int, lexicon: Lexicon, rng: random.Random) -> Question:
    """Who gave the most or the fewest; figures differ in their tens but on the last level.

    A figure stands before its name, so that who finds the figure has only to read on.
    """
    count = (3, 4, 5)[level - 1]
    names, thing = [], lexicon.noun(rng)
    while len(names) < count:
        name = lexicon.name(rng)
        if name not in names:
            names.append(name)
    figures = two_digits(rng, count, apart=level < 3)
    what, pick = rng.choice((("most", max), ("fewest", min)))
    owns = dict(zip(names, figures, strict=True))
    right = pick(names, key=lambda name: owns[name])
    listed = ", ".join(f"{owns[name]} from {name}" for name in names)
    text = f"The {thing} got {listed}. Who gave the {what}?"
    wrong = tuple(name for name in names if name != right)
    return Question(
        "ordering", level, text, right, lambda v: f"The {what} is {owns[v]} from {v}.", wrong
    )


def two_digits(rng: random.Random, count: int, *, apart: bool) -> list[int]:
    """Different numbers of two digits; `apart`, no two of them in the same ten."""
    if not apart:
        return rng.sample(range(10, 100), count)
    return [10 * ten + rng.randrange(10) for ten in rng.sample(range(1, 10), count)]


def counting(level: int, lexicon: Lexicon, rng: random.Random) -> Question:
    """How often a word stands in a list."""
    count = (4, 6, 8)[level - 1] + rng.randint(0, 1)
    words = lexicon.nouns(rng, 2 + (level > 1))
    listed = [rng.choice(words) for _ in range(count)]
    word = rng.choice(words)
    value = listed.count(word)
    text = f"How many times does {word} stand in this list: {', '.join(listed)}?"
    wrong = tuple(str(v) for v in range(max(0, value - 3), value + 4) if v != value)
    return Question(
        "counting", level, text, str(value), lambda v: f"{word} stands there {v} times.", wrong
    )


def table(level: int, lexicon: Lexicon, rng: random.Random) -> Question:
    """Read a cell of a small table, or add two; the worked line first says which column it is."""
    rows = (3, 4, 3)[level - 1]
    names, columns = lexicon.nouns(rng, rows), lexicon.nouns(rng, 2)
    top = 20 if level == 3 else 60
    cells = {name: [rng.randint(1, top) for _ in columns] for name in names}

    def line(name: str) -> str:
        return f"{name} | {cells[name][0]} | {cells[name][1]}"

    lines = "\n".join(map(line, names))
    text = f"name | {columns[0]} | {columns[1]}\n{lines}\n"
    column = rng.randrange(2)
    place = ("first", "second")[column]
    name = rng.choice(names)
    if level < 3:
        right = cells[name][column]
        others = {v for row in cells.values() for v in row} | {right + 1, right + 10}
        wrong = tuple(str(v) for v in sorted(others - {right}))
        text += f"What is the {columns[column]} of {name}?"
        return Question(
            "table",
            level,
            text,
            str(right),
            lambda v: f"{columns[column]} is {place}. {line(name)}: the {place} is {v}.",
            wrong,
        )
    other = rng.choice([row for row in names if row != name])
    a, b = cells[name][column], cells[other][column]
    text += f"What is the {columns[column]} of {name} and {other} together?"
    return Question(
        "table",
        level,
        text,
        str(a + b),
        lambda v: f"{columns[column]} is {place}. {line(name)}, {line(other)}: {a} + {b} = {v}",
        near(a + b, rng),
    )


MAKERS = {"arithmetic": arithmetic, "ordering": ordering, "counting": counting, "table": table}


def held_sum(line: str) -> bool:
    """Say whether a sum, as it is written with its result, belongs to the part held out."""
    return zlib.crc32(line.encode()) % 10 == 0


def draw(kind: str, level: int, lexicon: Lexicon, rng: random.Random) -> Question:
    """A question of the lexicon's split: the questions themselves are split too, one in ten held out.

    No training question has a held-out sum as one of its steps.
    """
    wanted: Split = lexicon.split
    while True:
        question = MAKERS[kind](level, lexicon, rng)
        line = question.work(question.answer)
        steps = re.findall(r"\d+ [+-] \d+ = \d+", line)
        held = held_sum(line if kind == "arithmetic" else question.text)
        if wanted == "held" and held:
            return question
        if wanted == "train" and not held and not any(map(held_sum, steps)):
            return question
