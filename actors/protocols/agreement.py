"""Ranking without a vote: agreement, then log-probability, then seat order; also the tie rule.

The proposal most similar to all others is first, which is minimum-Bayes-risk selection over
samples (Eikema and Aziz 2020, arXiv 2005.10283).
"""

from collections.abc import Sequence

from actors.deliberations import quality
from actors.protocols.rules import Place, Standing
from schemas.agent import AgentResponse


def order(answers: Sequence[AgentResponse], task: str) -> tuple[Place, ...]:
    """Places from best to worst; `answers` come in seat order, which settles what is equal."""
    contents = [quality.content(answer.content, task) for answer in answers]
    scores = [round(score, 4) for score in quality.agreement(contents)]
    places = [Place(answer, score) for answer, score in zip(answers, scores, strict=True)]
    return tuple(sorted(places, key=lambda place: (-place.score, -confidence(place.answer))))


def confidence(answer: AgentResponse) -> float:
    """The mean log-probability, lowest for an engine that tells none."""
    return answer.logprob if answer.logprob is not None else float("-inf")


def standing(answers: Sequence[AgentResponse], task: str) -> Standing:
    """The ranking by agreement with its reason."""
    places = order(answers, task)
    return Standing(places, _reason(places))


def _reason(places: Sequence[Place]) -> str:
    if not places:
        return ""
    if len(places) == 1:
        return "the only proposal; there was no other to agree with, so its score is 0"
    first, second = places[0], places[1]
    if first.score > second.score:
        return (
            f"closest to the other proposals: mean similarity {first.score:.2f},"
            f" next is {second.answer.seat} with {second.score:.2f}"
        )
    return f"agreement tied at {first.score:.2f} with {second.answer.seat}; {tie(first, second)}"


def tie(first: Place, second: Place) -> str:
    """Why the first of two that agree equally is first."""
    if confidence(first.answer) > confidence(second.answer):
        return f"higher mean token log-probability ({first.answer.logprob:.3f})"
    return "earlier seat"
