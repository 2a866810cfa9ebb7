"""Tasks as people put them to a council, with the content words each one speaks of."""

import random
from dataclasses import dataclass, field

from actors.deliberations.prompts import task_block
from corpus.words import QUALITIES, Lexicon, expand, sentence

ASKS = """
[Design|Sketch|Draft|Plan|Describe|Propose|Outline|Suggest] [a|one|the] {q} {a} for [the|our|a] {b}.
[Design|Plan|Write|Propose] [a|the] {a} [policy|plan|strategy|procedure] for [the|our] {q} {b}.
[How|In what way] [should|can|could|do] we [protect|improve|test|scale|simplify|replace|monitor|organise] the {a} [of|in] the {b}?
[Add|Introduce|Build] [a|an extra] {a} to [the|our] {b}.
[Fix|Explain|Find the cause of|Prevent] the {q} {a} [in|of] the {b}.
[What|Which] {a} [should|would] we [choose|use|prefer] for the {q} {b}?
[Move|Migrate|Split|Merge] the {a} [into|from|with] the {b} without [losing|stopping|breaking] the {c}.
[Choose|Pick|Compare] [a|some] {a} [or|and] [a|some] {b} for the {c}.
[Reduce|Limit|Measure|Cut] the [cost|time|load|noise|waste] of the {a} when the {b} [grows|fails|is busy|is {q}].
[Write|Prepare|Draft] [a test plan|a checklist|release notes|a short guide|guidelines] for [the|our] {a} and its {b}.
[Let|Make] the {a} [survive|handle|accept|refuse] a {q} {b}.
[Organise|Prepare|Plan] a {a} [with|around] a {b} and a {q} {c}.
[Decide|Say] [whether|if] the {a} [should|may] [own|keep|call|share] the {b}.
[Review|Audit|Document] [how|why] the {a} [reads|stores|sends|counts] the {b}.
[Make|Keep] the {a} [idempotent|fast|safe|readable|cheap|simple|available] while the {b} [changes|moves|is {q}].
[Implement|Write] [retries|caching|paging|logging|rate limits|access control|versioning] for the {a} [behind|beside|inside] the {b}.
[Help|Teach] [users|people|customers|teams|visitors] to find the {a} [near|in|on] the {b}[ faster| again| by themselves|].
""".strip().splitlines()

FACTS = """
[Our|The] {a} [loses|repeats|delays|drops|misreads] [a|the|every] {q} {b} [when|whenever] the {c} [restarts|fails|is slow|times out].
[Our|The] {a} [is|became|has been] too [slow|large|costly|complex] since [we|they] added the {b}.
[Customers|Users|Operators|Guests|Teams] [complain|report|say] that the {a} [shows|hides|forgets|blocks] the {b}.
[The|Every] {a} [depends on|talks to|waits for|shares] [the|a] {b}.
[Last|This] [week|month|night|year] the {a} [broke|failed|stopped] [because of|after] a {q} {b}.
[We|They] [run|own|keep|bought|need] [a|one] {a} [with|for|beside] [a|many] {b}.
[There is|We have|They have] no {a} [between|for] the {b} and the {c}.
[Nobody|No one] [knows|checks|owns] the {q} {a} [of|behind] the {b}.
""".strip().splitlines()

NEEDS = """
[must|should] [not|never] [lose|block|repeat] the {a}
keep the {a} [simple|safe|fast|cheap|readable]
[works|usable|tested] without [the|a] {a}
no new {a}
[answer|result|change] within [one|two|three] [days|hours|weeks]
[name|list|mention] [the|every] {a}
the {a} [stays|is] [available|unchanged|private]
""".strip().splitlines()

RUBRICS = """
[Clarity|Safety|Cost|Speed] first, then [brevity|reuse|tests|comfort].
[Prefer|Reward] [answers|proposals] that [name|measure|protect] the {a}.
[Correct|Complete|Feasible], [short|concrete|honest] and [tested|cheap|safe].
Weigh the {a} [above|against] [cost|speed|comfort].
""".strip().splitlines()


@dataclass(frozen=True)
class Task:
    """One task: its text, its content words, and the block all seats are shown."""

    text: str
    words: list[str]
    block: str
    extra: list[str] = field(default_factory=list)


def fill(template: str, words: list[str], rng: random.Random) -> str:
    """Expand a template, put the words in, and mend `a` before a vowel."""
    text = expand(template, rng)
    values = {name: words[place % len(words)] for place, name in enumerate("abc")}
    text = text.format(**values, q=rng.choice(QUALITIES) if rng.random() < 0.7 else "")
    text = text.replace("  ", " ").replace(" .", ".").replace(" ?", "?")
    for lead in (" a ", "A "):
        for vowel in "aeio":
            text = text.replace(lead + vowel, lead[:-1] + "n " + vowel)
    return sentence(text.strip())


def background(lexicon: Lexicon, rng: random.Random, sentences: int) -> str:
    """Sentences that give a setting."""
    return " ".join(fill(rng.choice(FACTS), lexicon.nouns(rng, 3), rng) for _ in range(sentences))


def make_task(lexicon: Lexicon, rng: random.Random, plain: bool = False) -> Task:
    """Draw a task; `plain` ones have no context, requirements or rubric."""
    words = lexicon.nouns(rng, rng.choice((2, 3, 3, 4)))
    ask = fill(rng.choice(ASKS), words, rng)
    shape = rng.random()
    if shape < 0.4:
        text = ask
    elif shape < 0.7:
        text = fill(rng.choice(FACTS), words, rng) + " " + fill(rng.choice(ASKS), words[::-1], rng)
    elif shape < 0.85:
        text = ask + " " + fill(rng.choice(FACTS), words[1:] + words[:1], rng)
    else:
        text = ask.rstrip(".?") + rng.choice(
            (", please.", " today.", " and keep it short.", "", "!", " in plain words.")
        )
    used = [word for word in words if word in text]
    context, needs, rubric, extra = "", [], "", []
    if not plain:
        if rng.random() < 0.25:
            long = rng.random() < 0.06
            context = background(lexicon, rng, rng.randint(15, 60) if long else rng.randint(1, 3))
        if rng.random() < 0.25:
            extra = lexicon.nouns(rng, rng.randint(1, 3))
            needs = [fill(rng.choice(NEEDS), [word], rng) for word in extra]
            extra = [word for word, need in zip(extra, needs, strict=True) if word in need]
        if rng.random() < 0.2:
            rubric = fill(rng.choice(RUBRICS), [rng.choice(used)], rng)
    return Task(text, used, task_block(text, context, needs, rubric), extra)
