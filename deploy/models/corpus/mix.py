"""The mixture of samples that training draws from, and the held-out samples of each kind."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from actors import prompts
from corpus import ballots, closed, reviews
from corpus.concerns import MEASURES
from corpus.peers import Peer, draw_peers, show
from corpus.personas import made_up, seat
from corpus.proposals import Slots, propose, say
from corpus.tasks import make_task
from corpus.words import Lexicon

WEIGHTS = {
    "propose": 0.38,
    "closed": 0.26,
    "ballot": 0.2,
    "critique": 0.07,
    "revise": 0.05,
    "synthesize": 0.04,
}
EASY = {"recite": 0.45, "propose": 0.4, "closed": 0.15}


@dataclass(frozen=True)
class Sample:
    """One message to an agent, the answer it should learn to give, and further turns."""

    kind: str
    user: str
    answer: str
    more: tuple[tuple[str, str], ...] = ()


def user_message(task: str, materials: list[str], seat_text: str) -> str:
    """The user message exactly as an agent is sent it."""
    return prompts.chat(task, materials, seat_text)[1].content


def proposal(lexicon: Lexicon, rng: random.Random) -> Sample:
    """A proposal for a task."""
    task, (role, persona) = make_task(lexicon, rng), seat(lexicon, rng)
    text = propose(task, role, persona, rng)
    return Sample(
        "propose",
        user_message(task.block, [], prompts.seat_block(role, persona.text, prompts.PROPOSE)),
        text,
    )


def closed_question(lexicon: Lexicon, rng: random.Random) -> Sample:
    """A closed question, answered by a fallible teacher."""
    kind, level = rng.choice(closed.KINDS), rng.choice(closed.LEVELS)
    question, (role, persona) = closed.draw(kind, level, lexicon, rng), seat(lexicon, rng)
    text = question.solution(rng, closed.ERROR_RATE[level])
    block = prompts.task_block(question.text)
    return Sample(
        "closed",
        user_message(block, [], prompts.seat_block(role, persona.text, prompts.ANSWER)),
        text,
    )


def vote(lexicon: Lexicon, rng: random.Random) -> Sample:
    """A ballot over labelled proposals; then, as an exercise, a word on each one's fault."""
    task, (role, persona) = make_task(lexicon, rng), seat(lexicon, rng)
    count = rng.choice((2, 3, 3, 3, 4, 4, 5)) if rng.random() < 0.94 else rng.randint(6, 14)
    bad = rng.choice((0, 1, 1, 1, 1, 2)) if count < 5 else rng.randint(1, count // 2)
    peers = draw_peers(task, lexicon, rng, count, min(bad, count - 1))
    seat_text = prompts.seat_block(role, persona.text, prompts.BALLOT)
    user = user_message(task.block, [show(peers, rng)], seat_text)
    more = ((ballots.JUDGE, ballots.judgement(peers)),)
    return Sample("ballot", user, ballots.ballot(peers, rng), more)


def critique(lexicon: Lexicon, rng: random.Random) -> Sample:
    """A critique of one of the proposals shown."""
    task, (role, persona) = make_task(lexicon, rng), seat(lexicon, rng)
    peers = draw_peers(task, lexicon, rng, rng.choice((1, 1, 2, 3)), rng.choice((0, 0, 1)))
    first, *others = rng.sample(peers, len(peers))
    title = rng.choice(("Proposals", "Proposals", "Proposal"))
    instruction = prompts.CRITIQUE.format(label=first.label)
    seat_text = prompts.seat_block(role, persona.text, instruction)
    user = user_message(task.block, [show(peers, rng, title)], seat_text)
    more = tuple(
        (prompts.CRITIQUE.format(label=peer.label), reviews.critique(task, peer, persona, rng))
        for peer in others[:2]
    )
    return Sample("critique", user, reviews.critique(task, first, persona, rng), more)


def revision(lexicon: Lexicon, rng: random.Random) -> Sample:
    """A revision of one's own proposal given critiques."""
    task, (role, persona) = make_task(lexicon, rng), seat(lexicon, rng)
    own = propose(task, role, persona, rng, size=rng.choice((2, 2, 3)))
    notes = reviews.critics(
        task, own, rng, [made_up(lexicon, rng) for _ in range(rng.choice((1, 2, 2)))]
    )
    absent = [
        word
        for word in reviews.missing_words(task, own)
        if any(word in note.text for note in notes)
    ]
    label = rng.choice("ABC")
    title = rng.choice(("Your proposal", "Your proposal", "Own proposal", "Proposals"))
    mine = show([Peer(label, own, "", 0)], rng, title)
    theirs = show(notes, rng, rng.choice(("Critiques", "Critiques", "Critiques of your proposal")))
    user = user_message(
        task.block, [mine, theirs], prompts.seat_block(role, persona.text, prompts.REVISE)
    )
    return Sample("revise", user, reviews.revise(task, own, absent, role, persona, rng))


def synthesis(lexicon: Lexicon, rng: random.Random) -> Sample:
    """One answer made of the best proposals."""
    task, (role, persona) = make_task(lexicon, rng), seat(lexicon, rng)
    peers = draw_peers(task, lexicon, rng, rng.choice((2, 3)), rng.choice((0, 0, 1)))
    user = user_message(
        task.block, [show(peers, rng)], prompts.seat_block(role, persona.text, prompts.SYNTHESIZE)
    )
    return Sample("synthesize", user, reviews.synthesize(peers, rng))


def recital(lexicon: Lexicon, rng: random.Random) -> Sample:
    """An exercise in copying for the beginning: the best of one short text is the text."""
    task, (role, persona) = make_task(lexicon, rng, plain=True), seat(lexicon, rng)
    slots = Slots(task.words, rng)
    count = rng.choice((1, 1, 2))
    lines = [
        say(rng.choice(MEASURES[rng.choice(list(MEASURES))]), slots, rng) for _ in range(count)
    ]
    peer = Peer(rng.choice("ABC"), " ".join(lines), "", 0)
    seat_text = prompts.seat_block(role, persona.text, prompts.SYNTHESIZE)
    return Sample("recite", user_message(task.block, [show([peer], rng)], seat_text), peer.text)


MAKERS: dict[str, Callable[[Lexicon, random.Random], Sample]] = {
    "propose": proposal,
    "closed": closed_question,
    "ballot": vote,
    "critique": critique,
    "revise": revision,
    "synthesize": synthesis,
    "recite": recital,
}


def draw(lexicon: Lexicon, rng: random.Random, weights: dict[str, float]) -> Sample:
    """One sample of the mixture; a training sample with a held-out word in it is drawn again."""
    while True:
        kind = rng.choices(list(weights), list(weights.values()))[0]
        sample = MAKERS[kind](lexicon, rng)
        texts = (sample.user, sample.answer, *(text for turn in sample.more for text in turn))
        words = set(re.findall(r"[a-z]+", " ".join(texts).lower()))
        if lexicon.split == "held" or not words & FORBIDDEN:
            return sample


FORBIDDEN = frozenset(Lexicon("held").real)
