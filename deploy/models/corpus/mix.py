"""The mixture of samples that training draws from, and the held-out samples of each kind."""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actors.deliberations import prompts
from corpus import ballots, closed, drills, reviews
from corpus.peers import Peer, draw_peers, show
from corpus.personas import made_up, seat
from corpus.proposals import propose
from corpus.tasks import make_task
from corpus.words import Lexicon

WEIGHTS = {
    "drill": 0.1,
    "propose": 0.28,
    "closed": 0.22,
    "ballot": 0.26,
    "critique": 0.06,
    "revise": 0.04,
    "synthesize": 0.04,
}
SHORT = {"drill": 0.25, "propose": 0.25, "closed": 0.2, "short ballot": 0.3}
DRILL = {"drill": 1.0}
COPY = {"copy": 1.0}
CLOSING = {
    "drill": 0.05,
    "propose": 0.2,
    "closed": 0.5,
    "ballot": 0.15,
    "critique": 0.04,
    "revise": 0.03,
    "synthesize": 0.03,
}
CLOSING_FROM = 0.896
STAGES: tuple[tuple[float, dict[str, float]], ...] = (
    (0.022, COPY),
    (0.143, DRILL),
    (0.377, SHORT),
    (CLOSING_FROM, WEIGHTS),
    (1.0, CLOSING),
)
"""Up to which share of the run which mixture is drawn."""

Errors = Mapping[tuple[str, int], float]
"""How often the teachers of closed questions err, by kind and level; never where nothing is said."""

NO_ERRORS: Errors = {}


@dataclass(frozen=True)
class Sample:
    """One message to an agent, the answer it should learn to give, and further turns.

    A `bare` one has no chat around it. `peers` are the texts shown first in it, `words` those of
    its task: from both follows what is to be noted while reading (`data.notes`).
    """

    kind: str
    user: str
    answer: str
    more: tuple[tuple[str, str], ...] = ()
    bare: bool = False
    peers: tuple[Peer, ...] = ()
    words: tuple[str, ...] = ()


def mixture(share: float) -> dict[str, float]:
    """What is drawn after this share of the run."""
    return next(weights for until, weights in STAGES if share < until or until == 1.0)


def user_message(task: str, materials: list[str], seat_text: str) -> str:
    """The user message exactly as an agent is sent it."""
    return prompts.chat(task, materials, seat_text)[1].content


def drill(lexicon: Lexicon, rng: random.Random) -> Sample:
    """One of the drills."""
    if rng.random() < drills.VERDICTS:
        pairs, peers, words = drills.verdicts(lexicon, rng)
        return Sample("drill", *pairs[0], tuple(pairs[1:]), True, tuple(peers), tuple(words))
    makers, shares = zip(*drills.DRILLS.values(), strict=True)
    pairs = rng.choices(makers, shares)[0](lexicon, rng)
    return Sample("drill", *pairs[0], tuple(pairs[1:]), True)


def copying(lexicon: Lexicon, rng: random.Random) -> Sample:
    """One of the drills in copying."""
    pairs = rng.choice((drills.copies, drills.picks))(lexicon, rng)
    return Sample("copy", *pairs[0], tuple(pairs[1:]), True)


def proposal(lexicon: Lexicon, rng: random.Random) -> Sample:
    """A proposal for a task; then, as an exercise, those of other seats."""
    task, turns = make_task(lexicon, rng), list[tuple[str, str]]()
    for _ in range(rng.choice((1, 2, 3))):
        role, persona = seat(lexicon, rng)
        asked = prompts.seat_block(role, persona.text, prompts.PROPOSE)
        turns.append((asked, propose(task, role, persona, rng)))
    (asked, text), *more = turns
    return Sample("propose", user_message(task.block, [], asked), text, tuple(more))


def closed_question(
    lexicon: Lexicon,
    rng: random.Random,
    errors: Errors = NO_ERRORS,
    only: tuple[str, int] | None = None,
    turns: int = 0,
) -> Sample:
    """Closed questions one after the other, answered by fallible teachers."""
    asked = list[tuple[str, str]]()
    for _ in range(turns or rng.choice((1, 2, 3))):
        kind, level = only or (rng.choice(closed.KINDS), rng.choice(closed.LEVELS))
        question, (role, persona) = closed.draw(kind, level, lexicon, rng), seat(lexicon, rng)
        materials, instruction = list[str](), prompts.ANSWER
        if rng.random() < 0.08:
            given = [question.solution(rng, 0.5) for _ in range(rng.choice((2, 3)))]
            peers = [Peer(label, text, "", 0) for label, text in zip("ABC", given, strict=False)]
            materials, instruction = [show(peers, rng, "Answers")], prompts.RECONSIDER + instruction
        asked_for = prompts.seat_block(role, persona.text, instruction)
        user = user_message(prompts.task_block(question.text), materials, asked_for)
        asked.append((user, question.solution(rng, errors.get((kind, level), 0.0))))
    return Sample("closed", *asked[0], tuple(asked[1:]))


def short_vote(lexicon: Lexicon, rng: random.Random) -> Sample:
    """A ballot over short proposals for a task without context."""
    return vote(lexicon, rng, short=True)


def vote(lexicon: Lexicon, rng: random.Random, *, short: bool = False) -> Sample:
    """A ballot over labelled proposals; then, as an exercise, a word on each one's fault."""
    task, (role, persona) = make_task(lexicon, rng, plain=short), seat(lexicon, rng)
    many = not short and rng.random() < 0.05
    count = rng.randint(5, 12) if many else rng.choice((2, 3, 3, 3, 3, 4))
    bad = rng.choice((0, 1, 1, 1, 1, 2)) if count < 5 else rng.randint(1, count // 2)
    peers = draw_peers(task, lexicon, rng, count, min(bad, count - 1), size=int(short))
    seat_text = prompts.seat_block(role, persona.text, prompts.BALLOT)
    user = user_message(task.block, [show(peers, rng)], seat_text)
    more = ((ballots.JUDGE, ballots.judgement(peers)),)
    answer = ballots.ballot(peers, rng)
    return Sample("ballot", user, answer, more, peers=tuple(peers), words=tuple(task.words))


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
    answer = reviews.critique(task, first, persona, rng)
    return Sample("critique", user, answer, more, peers=tuple(peers), words=tuple(task.words))


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
    answer = reviews.synthesize(peers, rng)
    return Sample("synthesize", user, answer, peers=tuple(peers), words=tuple(task.words))


MAKERS: dict[str, Callable[[Lexicon, random.Random], Sample]] = {
    "propose": proposal,
    "closed": closed_question,
    "ballot": vote,
    "critique": critique,
    "revise": revision,
    "synthesize": synthesis,
    "copy": copying,
    "drill": drill,
    "short ballot": short_vote,
}


def draw(
    lexicon: Lexicon,
    rng: random.Random,
    weights: dict[str, float],
    errors: Errors = NO_ERRORS,
) -> Sample:
    """One sample of the mixture; a training sample with a held-out word in it is drawn again."""
    while True:
        kind = rng.choices(list(weights), list(weights.values()))[0]
        taught = kind == "closed"
        sample = closed_question(lexicon, rng, errors) if taught else MAKERS[kind](lexicon, rng)
        texts = (sample.user, sample.answer, *(text for turn in sample.more for text in turn))
        words = set(re.findall(r"[a-z]+", " ".join(texts).lower()))
        if lexicon.split == "held" or not words & FORBIDDEN:
            return sample


FORBIDDEN = frozenset(Lexicon("held").real)
