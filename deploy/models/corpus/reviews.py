"""Critique of a peer's proposal, revision of one's own, and one answer made of several."""

import random
from collections.abc import Sequence

from corpus.peers import Peer
from corpus.personas import Persona
from corpus.proposals import Slots, propose, say
from corpus.tasks import Task
from corpus.words import expand, sentence

FAULT_LINES: dict[str, str] = {
    "off topic": "[Proposal {label} is off topic|Proposal {label} misses the task]: it [never names|ignores] the {x}. [Write|Speak] about the {x}[ and the {y}|].",
    "repeats": "[Proposal {label} repeats itself|Proposal {label} says one thing again and again]. [Say|Write] something about the {x}.",
    "garbled": "[Proposal {label} cannot be read|Proposal {label} is garbled]. [Write|Give] plain sentences about the {x}.",
    "cut off": "[Proposal {label} breaks off|Proposal {label} is cut short]. [Finish it|Complete it] and [explain|treat] the {x}.",
    "empty": "[Proposal {label} is empty|Proposal {label} says nothing]. [Begin|Start] with the {x}.",
    "echo": "[Proposal {label} only repeats the task|Proposal {label} merely echoes the question]. [Say|Decide] what to do about the {x}.",
}
MISSING = (
    "[Proposal {label}|It] [says nothing about|leaves out|forgets] the {x}. [Add|Include] [a line on|a test of|an owner for] the {x}.",
    "[What about|Where is] the {x}? Proposal {label} [skips|omits] it[; say more|; add it|].",
)
DOUBTS: dict[str, str] = {
    "small": "[Too much at once|Too large a change] around the {x}; [cut it down|do less].",
    "failure": "[It is silent on|It ignores] what happens when the {x} fails; [add|handle] that.",
    "speed": "[No figures|Nothing measured] for the {x}; [add a baseline|measure it].",
    "risk": "[The worst case of|The main risk in] the {x} is [not ranked|missing]; [rank it|cover it first].",
    "explore": "[It never tries|Untested:] [odd|empty|huge] values of the {x}; [add some|try them].",
    "automate": "[The check of|All work on] the {x} is done by hand; [script it|automate it].",
    "border": "[The border of|The contract for] the {x} is [blurred|unclear]; [draw it|define it].",
    "remove": "[One part too many|Needless weight] near the {x}; [remove it|drop that].",
    "evolve": "[No way back|No migration] for the {x}; [plan one|add stages].",
    "recover": "[No recovery|No plan for an outage] of the {x}; [add one|describe it].",
    "deliver": "[No rollback|No staged release] for the {x}; [add one|ship in steps].",
    "guard": "[Anyone may touch|No limit protects] the {x}; [restrict it|log it].",
    "model": "[The key of|The meaning of] the {x} is [not fixed|vague]; [define it|state it].",
    "flow": "[The origin|The age] of the {x} is unknown; [stamp it|trace it].",
    "decide": "[No decision|No threshold] hangs on the {x}; [name one|set one].",
    "people": "[Those who use|People meeting] the {x} are [not asked|forgotten]; [ask them|show them].",
    "cost": "[The price|The cost] of the {x} is missing; [estimate it|add a budget].",
    "": "[The part on|What it says of] the {x} is [thin|vague]; [say how|be concrete|name an owner].",
}
ADDED = (
    "[After the critique|Following the critics], [one line more|an addition]: the {x} [gets a check|has an owner|is covered too].",
    "[The critics are right|Agreed]: [add|include] the {x}[ with its own test| as well|].",
    "[In this version|Now] the {x} is [part of the plan|treated first|no longer forgotten].",
)
JOINS = (
    "[Taken together|In sum|Joined into one answer]: ",
    "[The best of these|Common ground]: ",
    "",
)


def missing_words(task: Task, text: str) -> list[str]:
    """The task's content words that a text does not name."""
    return [word for word in task.words if word not in text]


def critique(task: Task, peer: Peer, persona: Persona, rng: random.Random) -> str:
    """What is wrong or missing in one proposal, and what to change."""
    slots = Slots(task.words, rng)
    doubt = say(DOUBTS[persona.concern], slots, rng)
    if peer.fault:
        words = rng.sample(task.words, len(task.words))
        text = expand(FAULT_LINES[peer.fault], rng).format(
            label=peer.label, x=words[0], y=words[-1]
        )
        return f"{text} {doubt}" if rng.random() < 0.3 else text
    absent = missing_words(task, peer.text)
    if not absent:
        praise = expand(
            "[Proposal {label} is|It is] [mostly sound|a fair start|near the task][, yet|, but]",
            rng,
        )
        return f"{praise.format(label=peer.label)} {doubt[:1].lower()}{doubt[1:]}"
    gap = sentence(expand(rng.choice(MISSING), rng).format(label=peer.label, x=rng.choice(absent)))
    return f"{gap} {doubt}" if rng.random() < 0.7 else f"{doubt} {gap}"


def revise(
    task: Task, own: str, asked: Sequence[str], role: str, persona: Persona, rng: random.Random
) -> str:
    """One's own proposal again: some sentences kept, and what the critics asked for added."""
    kept = own.split(". ")
    kept = [line.rstrip(".") + "." for line in kept if line.strip()]
    if len(kept) > 2 and rng.random() < 0.5:
        kept.pop(rng.randrange(1, len(kept)))
    wanted = list(asked) or missing_words(task, own) or task.words
    added = sentence(expand(rng.choice(ADDED), rng).format(x=rng.choice(wanted)))
    if rng.random() < 0.3:
        kept = [propose(task, role, persona, rng, size=1), *kept[1:]]
    kept.insert(rng.choice((len(kept), len(kept), 1)), added)
    return " ".join(kept)


def synthesize(peers: Sequence[Peer], rng: random.Random) -> str:
    """A sentence of each good proposal, joined."""
    good = [peer for peer in peers if not peer.fault]
    lines = [
        rng.choice([line for line in peer.text.rstrip(".").split(". ") if line])
        for peer in good[:3]
    ]
    return sentence(expand(rng.choice(JOINS), rng) + " " + ". ".join(lines) + ".").strip()


def critics(task: Task, own: str, rng: random.Random, personas: Sequence[Persona]) -> list[Peer]:
    """Critiques of one's own proposal, one by each persona."""
    me = Peer("A", own, "", 0)
    return [
        Peer(label, critique(task, me, persona, rng), "", 0)
        for label, persona in zip("1234", personas, strict=False)
    ]
