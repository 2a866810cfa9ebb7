"""Drills: short texts without a chat around them, in which most of the tokens are to be learned.

Every skill that a seat needs is first trained by itself: copying words that were never seen,
sums, order, tables, counts, look-ups, and judging one short text. A drill is a list of pairs, what is
given and what is wanted.
"""

import random
from collections.abc import Callable

from actors.deliberations.prompts import fenced, seat_block
from corpus import ballots, closed
from corpus.closed import LEVELS, held_sum
from corpus.peers import Peer, draw_peers, marker
from corpus.personas import seat
from corpus.proposals import propose
from corpus.tasks import make_task
from corpus.words import Lexicon

Pairs = list[tuple[str, str]]


def copies(lexicon: Lexicon, rng: random.Random) -> Pairs:
    """A run of words or digits, then the same again: in order, or from a word in the midst."""
    if rng.random() < 0.15:
        items = [f"{rng.randint(1, 60)}" for _ in range(rng.randint(6, 14))]
    else:
        items = lexicon.nouns(rng, rng.randint(4, 9))
    between = rng.choice((" ", ", ", " the ", "\n", " and a ", " | "))
    start = rng.choice((0, 0, rng.randrange(len(items) - 1)))
    given = between.join(items) + "\n" + items[start]
    return [(given, between.join(["", *items[start + 1 :]]) + "\n")]


def picks(lexicon: Lexicon, rng: random.Random) -> Pairs:
    """Lines under names, then the names again in another order."""
    names = lexicon.nouns(rng, rng.randint(3, 5))
    kept = {name: " ".join(lexicon.nouns(rng, rng.randint(1, 2))) for name in names}
    given = "\n".join(f"{name}: {kept[name]}" for name in names) + "\n"
    pairs = [(name + ":", f" {kept[name]}\n") for name in rng.sample(names, len(names))]
    return [(given + pairs[0][0], pairs[0][1]), *pairs[1:]]


def sums(_: Lexicon, rng: random.Random) -> Pairs:
    """Many sums, differences and products; none that is held out."""
    pairs: Pairs = []
    while len(pairs) < 14:
        draw = rng.random()
        if draw < 0.3:
            a, b, sign = rng.randint(1, 20), rng.randint(1, 20), rng.choice("+-")
        elif draw < 0.75:
            a, b, sign = rng.randint(1, 79), rng.randint(1, 20), "+"
        else:
            a, b, sign = rng.randint(2, 9), rng.randint(2, 6), "*"
        a, b = (max(a, b), min(a, b)) if sign == "-" else (a, b)
        value = {"+": a + b, "-": a - b, "*": a * b}[sign]
        if sign == "*" or not held_sum(f"{a} {sign} {b} = {value}"):
            pairs.append((f"{a} {sign} {b} =", f" {value}\n"))
    return pairs


def orders(lexicon: Lexicon, rng: random.Random) -> Pairs:
    """Figures with names behind them: the most, the fewest, and whose."""
    count = rng.randint(3, 5)
    names = lexicon.nouns(rng, count)
    figures = closed.two_digits(rng, count, apart=rng.random() < 0.6)
    ranked = sorted(zip(figures, names, strict=True), reverse=True)
    pairs: Pairs = []
    for what, place in rng.sample((("most", 0), ("fewest", -1)), 2):
        figure, name = ranked[place]
        pairs.append((f"The {what} is", f" {figure} from {name}.\n"))
    listed = ", ".join(f"{figure} from {name}" for figure, name in zip(figures, names, strict=True))
    return [(f"{listed}.\n{pairs[0][0]}", pairs[0][1]), *pairs[1:]]


def tables(lexicon: Lexicon, rng: random.Random) -> Pairs:
    """A small table, then cells of it: which column that is, the row, the cell."""
    columns, names = lexicon.nouns(rng, 2), lexicon.nouns(rng, rng.randint(2, 4))
    cells = {name: [rng.randint(1, 60) for _ in columns] for name in names}
    lines = [f"{name} | {a} | {b}" for name, (a, b) in cells.items()]
    given, pairs = "\n".join((f"name | {columns[0]} | {columns[1]}", *lines)) + "\n", Pairs()
    for name in rng.sample(names, 2):
        column = rng.randrange(2)
        place, (a, b) = ("first", "second")[column], cells[name]
        asked = f"The {columns[column]} of {name}?\n"
        told = f"{columns[column]} is {place}. {name} | {a} | {b}: the {place} is"
        pairs.append((asked, f"{told} {(a, b)[column]}.\n"))
    return [(given + pairs[0][0], pairs[0][1]), *pairs[1:]]


def counts(lexicon: Lexicon, rng: random.Random) -> Pairs:
    """How often each word stands in a short list."""
    words = lexicon.nouns(rng, rng.choice((2, 2, 3)))
    listed = [rng.choice(words) for _ in range(rng.randint(3, 8))]
    pairs = [
        (f"{word} stands there", f" {listed.count(word)} times.\n")
        for word in rng.sample(words, len(words))
    ]
    return [(f"List: {', '.join(listed)}\n{pairs[0][0]}", pairs[0][1]), *pairs[1:]]


def questions(lexicon: Lexicon, rng: random.Random) -> Pairs:
    """Closed questions of one kind, answered without error."""
    kind, pairs = rng.choice(closed.KINDS), Pairs()
    for _ in range(3):
        question = closed.draw(kind, rng.choice(LEVELS), lexicon, rng)
        pairs.append((question.text + "\n", question.solution(rng, 0.0) + "\n\n"))
    return pairs


def seats(lexicon: Lexicon, rng: random.Random) -> Pairs:
    """One task, and what two or three seats propose."""
    task, pairs = make_task(lexicon, rng, plain=True), Pairs()
    for place in range(rng.choice((2, 3))):
        role, persona = seat(lexicon, rng)
        asked = seat_block(role, persona.text, "")
        given = f"{task.block}\n\n{asked}" if place == 0 else f"\n{asked}"
        pairs.append((given, propose(task, role, persona, rng, rng.choice((1, 2, 3))) + "\n"))
    return pairs


def verdicts(lexicon: Lexicon, rng: random.Random) -> tuple[Pairs, list[Peer], list[str]]:
    """One task and two or three short texts, a verdict behind each, then the ballot."""
    task = make_task(lexicon, rng, plain=True)
    count = rng.choice((2, 3, 3))
    peers = draw_peers(task, lexicon, rng, count, rng.choice((1, 1, 1, 2, 0)), size=1)
    mark, pairs, given = marker(rng), Pairs(), task.block + "\n\n"
    for peer in peers:
        given += fenced(peer.label, peer.text, mark) + "\n"
        if rng.random() < 0.5:
            pairs.append((given, ballots.judgement([peer]) + "\n"))
            given = ""
    pairs.append((given + "Vote.\n", ballots.ballot(peers, rng) + "\n\n"))
    return pairs, peers, task.words


DRILLS: dict[str, tuple[Callable[[Lexicon, random.Random], Pairs], float]] = {
    "copies": (copies, 0.14),
    "picks": (picks, 0.12),
    "sums": (sums, 0.3),
    "orders": (orders, 0.1),
    "tables": (tables, 0.1),
    "counts": (counts, 0.1),
    "questions": (questions, 0.12),
    "seats": (seats, 0.14),
}
VERDICTS = 0.22
