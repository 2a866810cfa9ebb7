"""Small statistics: intervals, votes, likeness of texts."""

import math
import re
from collections import Counter
from collections.abc import Sequence


def wilson(hits: int, count: int) -> dict[str, float]:
    """A share with its 95 % interval after Wilson."""
    if not count:
        return {"share": 0.0, "low": 0.0, "high": 0.0, "n": 0}
    z, p = 1.96, hits / count
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return {
        "share": round(p, 4),
        "low": round(middle - half, 4),
        "high": round(middle + half, 4),
        "n": count,
    }


def majority(answers: Sequence[str]) -> str:
    """The most frequent answer; of several the one given first."""
    return Counter(answers).most_common(1)[0][0]


def words_of(text: str) -> list[str]:
    """Words in lower case, in order."""
    return re.findall(r"[\w-]+", text.lower())


def likeness(first: str, second: str) -> float:
    """Jaccard similarity of the sets of three consecutive words."""
    a, b = (
        {tuple(w[i : i + 3]) for i in range(len(w) - 2)}
        for w in (words_of(first), words_of(second))
    )
    return len(a & b) / len(a | b) if a | b else 1.0


def without_echo(text: str, task: str, run: int = 4) -> list[str]:
    """The words of a text, less every run of `run` or more words that stands in the task too."""
    words, source = words_of(text), words_of(task)
    runs = {tuple(source[i : i + run]) for i in range(len(source) - run + 1)}
    echoed = {
        place
        for start in range(len(words) - run + 1)
        if tuple(words[start : start + run]) in runs
        for place in range(start, start + run)
    }
    return [word for place, word in enumerate(words) if place not in echoed]


def answer_of(text: str) -> str:
    """What stands behind the last `answer:`; empty when there is none."""
    found = re.findall(r"^answer:[ \t]*(.+?)\s*$", text, re.MULTILINE)
    return found[-1] if found else ""
