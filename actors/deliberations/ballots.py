"""Secret ballots: anonymous labels, drawn for each voter anew, and their way back.

A voter never sees its own text, nor who wrote the others'. What it sends is a closed schema; what
does not rank every label exactly once is an abstention, with the reason.
"""

import math
import random
import zlib
from collections.abc import Mapping, Sequence
from itertools import permutations
from string import ascii_uppercase
from typing import Any

import msgspec
from msgspec import Struct

from actors.deliberations.counting import Ballot
from schemas.agent import AgentResponse

FEW_LABELS = 4


class Vote(Struct, frozen=True):
    """A ballot as a voter writes it."""

    ranking: tuple[str, ...]
    approve: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(Vote)


def seed(task_id: str, round_number: int, voter: str) -> int:
    """The seed of a voter's labels; it follows from ids, so the drawing can be repeated."""
    return zlib.crc32(f"{task_id}/{round_number}/{voter}".encode())


def labels(drawn_by: int, candidates: Sequence[str]) -> dict[str, str]:
    """Label → candidate for one voter, in the order in which the voter sees them."""
    drawn = list(candidates)
    random.Random(drawn_by).shuffle(drawn)  # noqa: S311 -- a permutation to be repeated, no secret
    return {label(number): candidate for number, candidate in enumerate(drawn)}


def label(number: int) -> str:
    """The label of a number: A, B, … Z, A2, B2, … ."""
    turn, letter = divmod(number, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(turn + 1) if turn else "")


def schema(shown: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of a ballot on these labels, for structured output.

    Few labels: a choice of all rankings, so that none can be invalid. More: a list of labels,
    because no backend enforces that items are distinct and n! grows too large.
    """
    one = {"type": "string", "enum": list(shown)}
    count = len(shown)
    ranking: dict[str, Any] = {"type": "array", "items": one, "minItems": count, "maxItems": count}
    if count <= FEW_LABELS:
        ranking = {"enum": [list(order) for order in permutations(shown)]}
    return {
        "type": "object",
        "properties": {
            "ranking": ranking,
            "approve": {"type": "array", "items": one, "maxItems": count},
        },
        "required": ["ranking", "approve"],
        "additionalProperties": False,
    }


def read(answer: AgentResponse, shown: Mapping[str, str]) -> Ballot | str:
    """The voter's ballot on candidates, or the reason why it is an abstention."""
    if answer.failure is not None:
        return answer.failure.code
    try:
        vote = _decoder.decode(answer.content.encode())
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return "not a ballot"
    if sorted(vote.ranking) != sorted(shown):
        return "does not rank every label once"
    return Ballot(
        voter=answer.seat,
        ranking=tuple(shown[each] for each in vote.ranking),
        approved=frozenset(shown[each] for each in vote.approve if each in shown),
        weight=confidence(answer),
    )


def confidence(answer: AgentResponse) -> float:
    """The geometric mean probability of the answer's tokens, 1 where the engine tells none."""
    return math.exp(answer.logprob) if answer.logprob is not None else 1.0
