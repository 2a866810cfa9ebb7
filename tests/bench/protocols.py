"""Which protocol is worth its tokens: closed questions, equal budgets of about 15 texts each.

The bundled model answers held-out questions of three levels. `independent` with 15 seats gives one
sample, plain majority and agreement from the same texts; the others spend about as many texts on
votes, critiques or syntheses. A picture and a table come out, whoever wins.
"""

import asyncio
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from actors.deliberations import answers
from actors.engines.models import BUNDLED_FOLDER, BUNDLED_NAME
from actors.settings import PoolSettings
from schemas.council import Sampling
from schemas.result import Deliberation
from supervisor.up import running
from tests.bench import measuring
from tests.bench.council import Council
from tests.bench.protocols_plot import draw
from tests.bench.wilson import interval

LEVELS = (1, 2, 3)
QUESTIONS = 150
AT_ONCE = 6
BUDGET = 15
PLANS: Mapping[str, Mapping[str, Any]] = {
    "independent": {"protocol": "independent", "num_agents": 15},
    "vote": {"protocol": "vote", "num_agents": 3, "samples": 15},
    "ranked": {"protocol": "ranked", "num_agents": 8},
    "revised": {"protocol": "revised", "num_agents": 4, "rounds": 1},
    "synthesized": {"protocol": "synthesized", "num_agents": 7},
}


class Row(Struct, frozen=True, kw_only=True):
    """One way to answer one question."""

    plan: str
    level: int
    right: bool
    oracle: bool
    tokens: float
    saved: float = 0.0


async def measure(options: measuring.Options) -> measuring.Result:
    """Ask every question under every plan, interleaved."""
    pool = PoolSettings(model=BUNDLED_NAME, max_concurrency=64, temperature=0.8, top_p=1.0)
    rows: list[Row] = []
    room = asyncio.Semaphore(AT_ONCE)
    count = 15 if options.quick else QUESTIONS
    async with running(measuring.whole(pool)) as system, Council(system.nats, 15) as council:

        async def ask(level: int, text: str, answer: str, seed: int) -> None:
            for name, plan in PLANS.items():
                async with room:
                    over = await council.deliberate(
                        text,
                        closed=True,
                        reference_answer=answer,
                        sampling=Sampling(max_tokens=96, seed=seed),
                        **plan,
                    )
                rows.extend(_rows(name, level, answer, over))

        for level in LEVELS:
            asked = enumerate(_questions(level, count))
            await asyncio.gather(*(ask(level, text, right, 100 * n) for n, (text, right) in asked))
    return _result(rows, count, options)


def _questions(level: int, count: int) -> list[tuple[str, str]]:
    """Held-out questions, each with its right answer."""
    sys.path.insert(0, str(BUNDLED_FOLDER.parent))
    from corpus import closed
    from corpus.words import Lexicon

    lexicon, rng = Lexicon("held"), random.Random(f"bench:protocols:{level}")
    found: dict[str, str] = {}
    while len(found) < count:
        question = closed.draw(closed.KINDS[len(found) % len(closed.KINDS)], level, lexicon, rng)
        found[question.text] = question.answer
    return list(found.items())


def _rows(name: str, level: int, answer: str, over: Deliberation) -> list[Row]:
    check = over.reference
    assert check is not None
    tokens = float(over.usage.completion_tokens)
    base = {"level": level, "oracle": check.oracle_correct}
    if name != "independent":
        saved = float(over.saved_tokens_estimate)
        return [Row(plan=name, right=check.winner_correct, tokens=tokens, saved=saved, **base)]
    right = answers.normalised(answer)
    texts = {each.proposal.author_id: each.proposal.content for each in over.results}
    given = [answers.extract(texts[seat]) for seat in over.seats if seat in texts]
    votes = Counter(value for value in given if value is not None)
    first = given[0] == right
    return [
        Row(plan="one sample", level=level, right=first, oracle=first, tokens=tokens / len(given)),
        Row(
            plan="majority of 15",
            right=bool(votes) and votes.most_common(1)[0][0] == right,
            tokens=tokens,
            **base,
        ),
        Row(plan="agreement of 15", right=check.winner_correct, tokens=tokens, **base),
    ]


def _result(rows: Sequence[Row], count: int, options: measuring.Options) -> measuring.Result:
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.plan, str(row.level)].append(row)
        groups[row.plan, "all"].append(row)
    table = [_line(plan, level, group) for (plan, level), group in groups.items()]
    by = {(line["plan"], line["level"]): line for line in table}
    vote, full = by["vote", "all"], by["majority of 15", "all"]
    if not options.quick:
        draw(table, measuring.RESULTS / "protocols.png")
    return measuring.Result(
        bench="protocols",
        question="which protocol is worth its tokens on closed questions?",
        rows=sorted(table, key=lambda line: (str(line["level"]), str(line["plan"]))),
        bars=(
            measuring.Bar(
                text="vote behind full majority of 15, points",
                value=100 * (full["accuracy"] - vote["accuracy"]),
                limit=1.0,
            ),
            measuring.Bar(
                text="completion tokens saved by vote against full majority, share",
                value=1 - vote["tokens"] / full["tokens"],
                limit=0.40,
                at_least=True,
            ),
        ),
        notes=(f"{count} held-out questions a level, bundled model, temperature 0.8",),
    )


def _line(plan: str, level: str, group: Sequence[Row]) -> dict[str, Any]:
    hits = sum(row.right for row in group)
    low, high = interval(hits, len(group))
    tokens = sum(row.tokens for row in group) / len(group)
    accuracy = hits / len(group)
    return {
        "plan": plan,
        "level": level,
        "accuracy": round(accuracy, 4),
        "from": round(low, 3),
        "to": round(high, 3),
        "tokens": round(tokens, 1),
        "per_1k_tokens": round(1000 * accuracy / tokens, 2),
        "oracle_gap": round(sum(row.oracle for row in group) / len(group) - accuracy, 3),
        "saved": round(sum(row.saved for row in group) / len(group), 1),
    }
