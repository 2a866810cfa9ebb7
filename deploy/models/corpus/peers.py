"""Labelled texts of peers: good ones, and ones that are broken or off topic."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from actors.deliberations.prompts import material_block
from corpus.personas import seat
from corpus.proposals import peer_text
from corpus.tasks import Task, make_task
from corpus.words import Lexicon

LABELS = "ABCDEFGHIJKLMN"
FAULTS = ("off topic", "off topic", "off topic", "repeats", "garbled", "cut off", "empty", "echo")
SYMBOLS = "#%&*+=?@^~|/\\{}0123456789xzqk"


@dataclass(frozen=True)
class Peer:
    """One labelled text; `fault` is empty for a good one."""

    label: str
    text: str
    fault: str
    covered: int


def marker(rng: random.Random) -> str:
    """A marker as a caller may draw it."""
    return f"{rng.getrandbits(64):016x}"[: rng.choice((4, 4, 6, 8, 8))]


def other_task(task: Task, lexicon: Lexicon, rng: random.Random) -> Task:
    """A task that shares no content word with this one."""
    mine = {word.lower() for word in task.words}
    while True:
        other = make_task(lexicon, rng, plain=True)
        if not mine & {word.lower() for word in other.words}:
            return other


def faulty(task: Task, kind: str, lexicon: Lexicon, rng: random.Random, size: int = 0) -> str:
    """A text with one plain fault."""
    if kind == "off topic":
        return peer_text(other_task(task, lexicon, rng), *seat(lexicon, rng), rng, size)
    if kind == "repeats":
        words = rng.sample([*task.words, "the", "and", "of", "it", "a"], rng.choice((1, 1, 2)))
        return " ".join(words * rng.randint(5, 14))
    if kind == "garbled":
        return "".join(rng.choice(SYMBOLS + "   ") for _ in range(rng.randint(12, 45))).strip()
    if kind == "cut off":
        return " ".join(peer_text(task, *seat(lexicon, rng), rng).split()[: rng.randint(1, 3)])
    if kind == "echo":
        return task.text
    return rng.choice(("", "...", "-", "n/a"))


def draw_peers(
    task: Task,
    lexicon: Lexicon,
    rng: random.Random,
    count: int,
    bad: int,
    kind: str = "",
    size: int = 0,
) -> list[Peer]:
    """`count` labelled texts of which `bad` have a fault, in random order; good ones of `size` sentences."""
    faults = [kind or rng.choice(FAULTS) for _ in range(bad)] + [""] * (count - bad)
    rng.shuffle(faults)
    labels = list(LABELS[:count])
    if count < 8 and rng.random() < 0.1:
        labels = sorted(rng.sample(LABELS[: count + 3], count))
    peers: list[Peer] = []
    for label, fault in zip(labels, faults, strict=True):
        role, persona = seat(lexicon, rng)
        text = (
            faulty(task, fault, lexicon, rng, size)
            if fault
            else peer_text(task, role, persona, rng, size)
        )
        covered = sum(word in text for word in task.words)
        peers.append(Peer(label, text, fault, covered))
    return peers


def show(peers: Sequence[Peer], rng: random.Random, title: str = "Proposals") -> str:
    """The block in which an agent is shown its peers' texts."""
    return material_block(title, [(peer.label, peer.text) for peer in peers], marker(rng))
