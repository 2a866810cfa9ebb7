"""Closed answers: found in a text, made comparable, and voted on with a stopping rule.

Weighted majority over samples is self-consistency (Wang et al. 2022, arXiv 2203.11171) with the
confidence of DeepConf (2508.15260); drawing samples only while the result is open is
Adaptive-Consistency (Aggarwal et al. 2023, arXiv 2305.11860).
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from actors.deliberations.ballots import confidence
from schemas.agent import AgentResponse

CERTAIN = 0.95
"""Stop when the leader stays ahead with this probability (the paper's default)."""

_LINE = re.compile(r"^[^\w\n]*answer[^\w\n]*[:=]\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_FENCED = re.compile(r"(?ims)^```(?:json)?[ \t]*\n(.*?)^```[ \t]*$")
_NUMBER = re.compile(r"([-+]?)([0-9]{1,3}(?:[,_ ][0-9]{3})+|[0-9]*)(?:\.([0-9]+))?")


class Tallied(Struct, frozen=True):
    """One distinct answer: how many gave it, their summed confidence, and its best sample."""

    answer: str
    votes: int
    weight: float
    best: AgentResponse


def extract(text: str) -> str | None:
    """The answer in a text: JSON field `answer`, a whole JSON value, or the last `answer:` line.

    JSON may stand in a Markdown code fence, as many models put it. None when there is no answer;
    such a sample abstains.
    """
    value = _json(text)
    if isinstance(value, dict) and "answer" in value:
        value = "" if value["answer"] is None else value["answer"]
    if value is None:
        value = ["", *_LINE.findall(text)][-1]
    return (
        normalised(value if isinstance(value, str) else json.dumps(value, sort_keys=True)) or None
    )


def _json(text: str) -> object:
    try:
        return json.loads([text, *_FENCED.findall(text)][-1])
    except (ValueError, RecursionError):
        return None


def normalised(answer: str) -> str:
    """Equal answers written differently become equal: case, spaces, full stops, number forms.

    Numbers are compared digit by digit, so that none is rounded to equal another.
    """
    whole = answer.encode(errors="replace").decode()  # half a surrogate pair cannot be stored
    plain = " ".join(whole.split()).strip(" !\"'`*").rstrip(" .!\"'`*").casefold()
    found = _NUMBER.fullmatch(plain)
    if found is None or not plain.strip("-+"):
        return plain
    units = re.sub("[,_ ]", "", found[2]).lstrip("0") or "0"
    parts = (found[3] or "").rstrip("0")
    number = f"{units}.{parts}" if parts else units
    return f"-{number}" if found[1] == "-" and number != "0" else number


def tally(samples: Sequence[AgentResponse]) -> tuple[Tallied, ...]:
    """Distinct answers, heaviest first; a tie goes to the more frequent, then the earlier one."""
    groups: defaultdict[str, list[AgentResponse]] = defaultdict(list)
    for sample in samples:
        answer = extract(sample.content)
        if answer is not None:
            groups[answer].append(sample)
    rows = [
        Tallied(
            answer,
            len(group),
            sum(map(confidence, group)),
            max(group, key=confidence),
        )
        for answer, group in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.weight, -row.votes)))


def stays_ahead(rows: Sequence[Tallied], left: int) -> bool:
    """Whether `left` further samples cannot, or will hardly, put another answer first.

    Hardly: the probability that the leader is still ahead of the second, once those samples are
    drawn, is at least CERTAIN. That is less than to be sure which of the two the model prefers, for
    which the paper's rule waits: with few samples left, the count can be as good as over before.
    """
    if not rows:
        return left == 0
    second = rows[1] if len(rows) > 1 else None
    if rows[0].weight - (second.weight if second else 0.0) > left:
        return True
    votes = [row.votes for row in rows]
    return ahead_probability(votes[0], sum(votes[1:2]), sum(votes[2:]), left) >= CERTAIN


def ahead_probability(leader: int, second: int, others: int, left: int) -> float:
    """The probability that the leader has more votes than the second after `left` more samples.

    The predictive distribution (Dirichlet-multinomial, uniform prior) of three counts: the
    leader's, the second's, all others'. An equal number is as likely as not to be a win.
    """
    doubled = 0
    for more in range(left + 1):
        for against in range(min(left - more, leader + more - second) + 1):
            rest = left - more - against
            ways = (
                math.comb(leader + more, more)
                * math.comb(second + against, against)
                * math.comb(others + rest, rest)
            )
            doubled += ways if leader + more == second + against else 2 * ways
    return doubled / (2 * math.comb(leader + second + others + 2 + left, left))
