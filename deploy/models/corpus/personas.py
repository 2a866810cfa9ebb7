"""Roles and personas: the fifteen default ones, and made-up ones of every kind."""

import random
from dataclasses import dataclass

from actors.councils.defaults import default_councils
from corpus.words import Lexicon, expand

# Each concern: the words of a persona that call for it.
CONCERNS: dict[str, tuple[str, ...]] = {
    "small": ("pragmatic", "smallest", "practical", "minimal", "lean"),
    "failure": ("sceptical", "reviewer", "failure", "doubt", "critic"),
    "speed": ("performance", "measures", "latency", "fast", "throughput"),
    "risk": ("strategist", "risks", "risk", "worst", "danger"),
    "explore": ("exploratory", "surprising", "curious", "explorer", "odd"),
    "automate": ("automation", "repeatable", "checks", "scripts", "robot"),
    "border": ("architect", "boundaries", "interfaces", "structure", "layers"),
    "remove": ("simplifier", "removes", "simple", "less", "minimalist"),
    "evolve": ("evolution", "migration", "reversal", "change", "future"),
    "recover": ("reliability", "recovery", "outages", "steady", "resilience"),
    "deliver": ("platform", "delivery", "rollback", "releases", "shipping"),
    "guard": ("security", "access", "abuse", "privacy", "guard"),
    "model": ("modeller", "keys", "constraints", "meaning", "definitions"),
    "flow": ("pipeline", "freshness", "lineage", "data", "streams"),
    "decide": ("analyst", "decision", "numbers", "evidence", "statistics"),
    "people": ("user", "people", "customers", "kind", "designer"),
    "cost": ("cost", "budget", "money", "accountant", "price"),
}

ROLES = (
    "DEV QA ARCHITECT DEVOPS DATA LEGAL FINANCE SUPPORT RESEARCH DESIGN COACH TEACHER CHEF EDITOR MEDIC SALES OPS"
    " PLANNER WRITER SCIENCE MARKETING SRE ML PRODUCT SECURITY TRAVEL GARDEN HISTORY MATH HR"
).split()

HEADS = (
    "engineer reviewer planner designer operator teacher analyst manager writer expert friend student judge builder"
    " organiser adviser colleague lawyer cook doctor editor scientist historian coach"
).split()

HABITS = """
[looks|watches|cares] for {x} and {y}
[asks|wants to know] [who|what|why] [uses|needs] the {x}
[thinks|worries] about {x}[ and {y}| first|]
[wants|prefers] {t} {x}[ over {y}| without {y}|]
[likes|loves|knows] {x} and {t} {y}
[checks|counts|measures] [every|each] {t} {x}
[avoids|distrusts] {t} {x}
[protects|speaks for] {x} and {y}
""".strip().splitlines()

THINGS = (
    "failures tests costs people customers releases numbers risks checks users interfaces recovery access evidence"
    " money definitions streams changes scripts delivery abuse keys structure latency beginners nature fairness comfort"
    " beauty law health details deadlines language"
).split()

MANNERS = (
    "careful curious patient bold practical kind strict cheerful sceptical senior junior quiet creative lean fast"
    " resilience privacy data security performance cost user customers reliability automation risk decision exploratory"
).split()


@dataclass(frozen=True)
class Persona:
    """A persona as written, and its two parts: who speaks, and what for."""

    text: str
    head: str
    habit: str

    @property
    def concern(self) -> str:
        """The concern that most words of the persona call for; empty when none does."""
        words = self.text.lower().replace(",", " ").split()
        counts = {name: sum(word in keys for word in words) for name, keys in CONCERNS.items()}
        best = max(counts, key=lambda name: counts[name])
        return best if counts[best] else ""


def split_persona(text: str) -> Persona:
    """Find head and habit of a persona in the form `head who habit`."""
    head, _, habit = text.partition(" who ")
    return Persona(text, head, habit)


DEFAULTS: tuple[tuple[str, Persona], ...] = tuple(
    (council.role, split_persona(seat.persona))
    for council in default_councils()
    for seat in council.seats
)


def made_up(lexicon: Lexicon, rng: random.Random) -> Persona:
    """A persona nobody has defined."""
    manner = rng.choice(MANNERS) if rng.random() < 0.75 else lexicon.invented(rng)
    job = rng.choice(HEADS) if rng.random() < 0.75 else lexicon.invented(rng)
    head = expand(f"[{manner}|{manner}|{rng.choice(THINGS)}] {job}", rng)
    picks = [rng.choice(THINGS) if rng.random() < 0.6 else lexicon.noun(rng) for _ in range(2)]
    habit = expand(rng.choice(HABITS), rng).format(
        x=picks[0], y=picks[1], t=rng.choice(MANNERS[:12])
    )
    draw = rng.random()
    if draw < 0.6:
        return Persona(f"{head} who {habit}", head, habit)
    if draw < 0.75:
        return Persona(f"a {head} who {habit}", head, habit)
    if draw < 0.9:
        return Persona(head, head, "")
    return Persona(f"{head}, {habit}", head, habit)


def seat(lexicon: Lexicon, rng: random.Random) -> tuple[str, Persona]:
    """A role and a persona: a default pair, a mixed one, or made up."""
    draw = rng.random()
    if draw < 0.5:
        return rng.choice(DEFAULTS)
    if draw < 0.6:
        return rng.choice(DEFAULTS)[0], rng.choice(DEFAULTS)[1]
    role = rng.choice(ROLES) if rng.random() < 0.7 else lexicon.invented(rng).upper()
    if rng.random() < 0.1:
        role = role.capitalize() if role.isalpha() else role
    return role, made_up(lexicon, rng)
