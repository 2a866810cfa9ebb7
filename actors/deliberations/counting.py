"""Counting ballots: pure functions with stated ties, the same for every protocol and recount.

A ballot ranks the candidates its voter could vote on, best first; the voter's own are not among
them. So candidates stand on different ballots, and each is scored by the mean over the ballots
that rank it. An abstention is no ballot: it changes no score and hence no order.

Every rule scores in 0..1. Ties are left to the caller (`actors/protocols/ranked.py`): agreement,
then log-probability, then seat order.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

from msgspec import Struct

from schemas.deliberation import CountingRule

CLOSE = 1e-4
"""Scores are told to four decimals; what differs by less may be tied."""


class Ballot(Struct, frozen=True):
    """One voter's ranking, best first, of every candidate it could vote on, each once.

    `approved` is a subset of it; `weight` in 0..1 is the voter's confidence.
    """

    voter: str
    ranking: tuple[str, ...]
    approved: frozenset[str] = frozenset()
    weight: float = 1.0


class Bounds(Struct, frozen=True):
    """Where a candidate's score may end, whatever the outstanding ballots say."""

    low: float
    high: float


Points = Callable[[Ballot, int], float]


def _borda(ballot: Ballot, place: int) -> float:
    last = len(ballot.ranking) - 1
    return (last - place) / last if last else 1.0


def _plurality(_: Ballot, place: int) -> float:
    return float(place == 0)


def _approval(ballot: Ballot, place: int) -> float:
    return float(ballot.ranking[place] in ballot.approved)


_POINTS: dict[CountingRule, Points] = {
    "borda": _borda,
    "confidence": _borda,
    "plurality": _plurality,
    "approval": _approval,
}


def count(
    rule: CountingRule, candidates: Sequence[str], ballots: Sequence[Ballot]
) -> dict[str, float]:
    """The score of each candidate.

    borda       mean share of rivals beaten on a ballot (de Borda 1784)
    confidence  the same, ballots weighted by their voter's confidence
    plurality   share of first places
    approval    share of approvals
    copeland    share of rivals beaten head to head, a tie counting half (Copeland 1951);
                a Condorcet winner scores 1
    """
    return {name: bound.low for name, bound in bounds(rule, candidates, ballots, ()).items()}


def bounds(
    rule: CountingRule,
    candidates: Sequence[str],
    ballots: Sequence[Ballot],
    outstanding: Sequence[frozenset[str]],
) -> dict[str, Bounds]:
    """Where each score may end; `outstanding` holds the candidates of each ballot still to come."""
    if rule == "copeland":
        return _copeland(candidates, ballots, outstanding)
    points = _POINTS[rule]
    weighted = rule == "confidence"
    totals = dict.fromkeys(candidates, 0.0)
    weights = dict.fromkeys(candidates, 0.0)
    for ballot in ballots:
        weight = ballot.weight if weighted else 1.0
        for place, name in enumerate(ballot.ranking):
            if name in totals:
                totals[name] += weight * points(ballot, place)
                weights[name] += weight
    return {
        name: _mean(totals[name], weights[name], _open(name, outstanding)) for name in candidates
    }


def _open(name: str, outstanding: Sequence[frozenset[str]]) -> int:
    return sum(name in open_to for open_to in outstanding)


def _mean(total: float, weight: float, still: int) -> Bounds:
    if not weight and not still:
        return Bounds(0.0, 0.0)
    return Bounds(total / (weight + still), (total + still) / (weight + still))


def _copeland(
    candidates: Sequence[str],
    ballots: Sequence[Ballot],
    outstanding: Sequence[frozenset[str]],
) -> dict[str, Bounds]:
    low = dict.fromkeys(candidates, 0.0)
    high = dict.fromkeys(candidates, 0.0)
    places = [{name: place for place, name in enumerate(each.ranking)} for each in ballots]
    for one, other in combinations(candidates, 2):
        margin = _margin(one, other, places)
        still = sum(one in open_to and other in open_to for open_to in outstanding)
        low[one] += _duel(margin - still)
        high[one] += _duel(margin + still)
        low[other] += _duel(-margin - still)
        high[other] += _duel(-margin + still)
    rivals = max(len(candidates) - 1, 1)
    return {name: Bounds(low[name] / rivals, high[name] / rivals) for name in candidates}


def _margin(one: str, other: str, places: Sequence[Mapping[str, int]]) -> int:
    return sum(
        1 if ballot[one] < ballot[other] else -1
        for ballot in places
        if one in ballot and other in ballot
    )


def _duel(margin: int) -> float:
    return 0.5 + 0.5 * ((margin > 0) - (margin < 0))


def settled(
    rule: CountingRule,
    candidates: Sequence[str],
    ballots: Sequence[Ballot],
    outstanding: Sequence[frozenset[str]],
) -> bool:
    """Whether one candidate is ahead of all others however the outstanding ballots turn out.

    Ahead by more than CLOSE, so that rounding cannot make it a tie.
    """
    limits = bounds(rule, candidates, ballots, outstanding)
    leader = max(candidates, key=lambda name: limits[name].low)
    least = limits[leader].low - CLOSE
    return all(least > limits[name].high for name in candidates if name != leader)
