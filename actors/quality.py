"""What can be measured of text without a model: agreement, diversity and relevance, each 0..1.

All are taken on content: words in small letters after ids and verbatim echoes of the task are
removed, so that repeating the question earns nothing. An answer without content agrees with
nobody, adds no diversity and has no relevance.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise

ECHO_WORDS = 5
"""A run of so many words that stands in the task is an echo, not an answer."""

SHINGLE_WORDS = 3
"""Diversity compares runs of three words (Broder 1997, shingling)."""

RELEVANT_WORDS = 8
"""Taking up eight of the task's content words is full relevance: nobody takes up all of a page."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_ID = re.compile(r"\b(?:agent-[\w-]+|[0-9a-f]{8,}(?:-[0-9a-f]{4,})*)\b", re.IGNORECASE)

_STOPWORDS = """
    a about above after again all also an and any are as at be because been before being below
    between both but by can could did do does doing done down during each few for from further get
    had has have having he her here hers him his how i if in into is it its itself just let like
    make many may me might more most much must my need no nor not now of off on once one only or
    other our out over own per same shall she should so some such take than that the their them
    then there these they this those through to too under until up upon us use used using very
    want was we well were what when where which while who whom why will with within without would
    you your
"""
STOPWORDS = frozenset(_STOPWORDS.split())
"""Words too common to say what a text is about."""

Words = tuple[str, ...]


def words(text: str) -> Words:
    """Every word in small letters, ids removed."""
    return tuple(_WORD.findall(_ID.sub(" ", text).lower()))


def content(text: str, task: str) -> Words:
    """The words of `text` outside verbatim echoes of `task` (runs of ECHO_WORDS and more)."""
    said = words(text)
    asked = words(task)
    size = min(ECHO_WORDS, max(len(asked), 1))
    runs = {asked[at : at + size] for at in range(len(asked) - size + 1)}
    echoed = [False] * len(said)
    for at in range(len(said) - size + 1):
        if said[at : at + size] in runs:
            echoed[at : at + size] = [True] * size
    return tuple(word for word, echo in zip(said, echoed, strict=True) if not echo)


def content_words(text_words: Words) -> frozenset[str]:
    """The distinct words that carry meaning."""
    return frozenset(word for word in text_words if word not in STOPWORDS and len(word) > 1)


def similarity(one: Words, other: Words) -> float:
    """F1 of shared words and word pairs, 1 for equal texts; symmetric.

    The utility of minimum-Bayes-risk selection (Eikema and Aziz 2020, arXiv 2005.10283), with
    an n-gram overlap that needs no model.
    """
    mine, theirs = _ngrams(one), _ngrams(other)
    total = mine.total() + theirs.total()
    return 2 * (mine & theirs).total() / total if total and one and other else 0.0


def _ngrams(text_words: Words) -> Counter[Words]:
    return Counter((word,) for word in text_words) + Counter(pairwise(text_words))


def agreement(contents: Sequence[Words]) -> tuple[float, ...]:
    """For each text its mean similarity to the others; 0 where there is no other."""
    count = len(contents)
    sums = [0.0] * count
    for one, other in combinations(range(count), 2):
        shared = similarity(contents[one], contents[other])
        sums[one] += shared
        sums[other] += shared
    return tuple(min(total / (count - 1), 1.0) if count > 1 else 0.0 for total in sums)


def diversity(contents: Sequence[Words]) -> float:
    """Mean of 1 - Jaccard similarity of three-word shingles over all pairs.

    A pair with an answer without content counts 0: silence is no other view.
    """
    pairs = list(combinations(contents, 2))
    if not pairs:
        return 0.0
    return sum(_distance(one, other) for one, other in pairs) / len(pairs)


def _distance(one: Words, other: Words) -> float:
    if not one or not other:
        return 0.0
    mine, theirs = _shingles(one), _shingles(other)
    return 1 - len(mine & theirs) / len(mine | theirs)


def _shingles(text_words: Words) -> frozenset[Words]:
    size = min(SHINGLE_WORDS, len(text_words))
    return frozenset(text_words[at : at + size] for at in range(len(text_words) - size + 1))


def relevance(contents: Sequence[Words], task: str) -> float:
    """Mean share of the task's content words that each text takes up outside echoes."""
    asked = content_words(words(task))
    if not asked or not contents:
        return 0.0
    full = min(len(asked), RELEVANT_WORDS)
    return sum(min(len(asked & content_words(said)) / full, 1.0) for said in contents) / len(
        contents
    )
