"""What can be measured of text without a model: agreement, diversity and relevance, each 0..1.

All are taken on content: words in small letters after ids and verbatim echoes of the task are
removed, so that repeating the question earns nothing. An answer without content agrees with
nobody, adds no diversity and has no relevance.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations, pairwise

ECHO_WORDS = 5
"""A run of so many words that stands in the task is an echo, not an answer."""

READ_CHARACTERS = 8_000
"""So much of a text is measured, as much as a voter is shown of it: comparing every pair of long
texts would hold up all other deliberations for seconds."""

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

LOOKED_AT_AGAIN = 32
"""Texts of which it is remembered what was found: a council's are looked at for its ranking, and
once more for what is told of the result."""

Words = tuple[str, ...]
Multiset = frozenset[object]


def words(text: str) -> Words:
    """Every word in small letters, ids removed."""
    return tuple(_WORD.findall(_ID.sub(" ", text).lower()))


@lru_cache(LOOKED_AT_AGAIN)
def content(text: str, task: str) -> Words:
    """The words of `text` outside verbatim echoes of `task` (runs of ECHO_WORDS and more).

    What follows `READ_CHARACTERS` is not looked at.
    """
    said = words(text[:READ_CHARACTERS])
    asked = _asked(task)
    size = min(ECHO_WORDS, max(len(asked), 1))
    runs = _runs(asked, size)
    echoes = [at for at, run in enumerate(_windows(said, size)) if run in runs]
    if not echoes:
        return said
    echoed = {at + further for at in echoes for further in range(size)}
    return tuple(word for at, word in enumerate(said) if at not in echoed)


@lru_cache(LOOKED_AT_AGAIN)
def _asked(task: str) -> Words:
    return words(task)


@lru_cache(LOOKED_AT_AGAIN)
def _runs(text_words: Words, size: int) -> frozenset[Words]:
    return frozenset(_windows(text_words, size))


def _windows(text_words: Words, size: int) -> Iterable[Words]:
    """Every run of so many words that follow each other."""
    return zip(*(text_words[at:] for at in range(size)), strict=False)


def content_words(text_words: Words) -> frozenset[str]:
    """The distinct words that carry meaning."""
    return frozenset(word for word in text_words if word not in STOPWORDS and len(word) > 1)


def similarity(one: Words, other: Words) -> float:
    """F1 of shared words and word pairs, 1 for equal texts; symmetric.

    The utility of minimum-Bayes-risk selection (Eikema and Aziz 2020, arXiv 2005.10283), with
    an n-gram overlap that needs no model.
    """
    return _overlap(_ngrams(one), _ngrams(other))


def _overlap(mine: Multiset, theirs: Multiset) -> float:
    return 2 * len(mine & theirs) / (len(mine) + len(theirs)) if mine and theirs else 0.0


@lru_cache(LOOKED_AT_AGAIN)
def _ngrams(said: Words) -> Multiset:
    """The words and word pairs of a text: a multiset as a plain set, in which equals are numbered.

    Hardly a word pair comes twice, so that few need a number.
    """
    ngrams: list[object] = [*said, *pairwise(said)]
    distinct = frozenset(ngrams)
    if len(distinct) == len(ngrams):
        return distinct
    again = ((ngram, count) for ngram, count in Counter(ngrams).items() if count > 1)
    return distinct.union((ngram, nth) for ngram, count in again for nth in range(1, count))


def agreement(contents: Sequence[Words]) -> tuple[float, ...]:
    """For each text its mean similarity to the others; 0 where there is no other."""
    count = len(contents)
    sums = [0.0] * count
    ngrams = [_ngrams(said) for said in contents]
    for one, other in combinations(range(count), 2):
        shared = _overlap(ngrams[one], ngrams[other])
        sums[one] += shared
        sums[other] += shared
    return tuple(min(total / (count - 1), 1.0) if count > 1 else 0.0 for total in sums)


def diversity(contents: Sequence[Words]) -> float:
    """Mean of 1 - Jaccard similarity of three-word shingles over all pairs.

    A pair with an answer without content counts 0: silence is no other view.
    """
    pairs = list(combinations(map(_shingles, contents), 2))
    if not pairs:
        return 0.0
    return sum(_distance(one, other) for one, other in pairs) / len(pairs)


def _distance(mine: frozenset[Words], theirs: frozenset[Words]) -> float:
    if not mine or not theirs:
        return 0.0
    shared = len(mine & theirs)
    return 1 - shared / (len(mine) + len(theirs) - shared)


def _shingles(text_words: Words) -> frozenset[Words]:
    return frozenset(_windows(text_words, min(SHINGLE_WORDS, max(len(text_words), 1))))


def relevance(contents: Sequence[Words], task: str) -> float:
    """Mean share of the task's content words that each text takes up outside echoes."""
    asked = content_words(_asked(task))
    if not asked or not contents:
        return 0.0
    full = min(len(asked), RELEVANT_WORDS)
    taken_up = (min(len(asked.intersection(said)) / full, 1.0) for said in contents)
    return sum(taken_up) / len(contents)
