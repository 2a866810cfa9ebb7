r"""Bounded building blocks: every string, number and list on the wire has a limit.

A name ends in `(?![\s\S])` and not in `$`, which would let a trailing line feed through.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

_TASK_ID = r"^[A-Za-z0-9_-]{1,64}(?![\s\S])"
_TASK_ID_WORDS = "letters, digits, _ and -, at most 64"
_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,47}(?![\s\S])"
_NAME_WORDS = "a letter, then letters, digits, _ and -, at most 48"
_TEXT = r"\S"

TaskId = Annotated[str, Meta(pattern=_TASK_ID, description=_TASK_ID_WORDS)]
Name = Annotated[str, Meta(pattern=_NAME, description=_NAME_WORDS)]
EpochMs = Annotated[int, Meta(ge=0, le=2**53, description="milliseconds since 1970, UTC")]
MOST = 2**53
Count = Annotated[int, Meta(ge=0, le=MOST)]
RoundNumber = Annotated[int, Meta(ge=0, le=1_024)]
Priority = Annotated[int, Meta(ge=-100, le=100, description="lower runs first")]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(gt=0.0, le=3600.0)]

TaskText = Annotated[str, Meta(min_length=1, max_length=100_000, pattern=_TEXT)]
MAX_TEXT = 1_000_000
LongText = Annotated[str, Meta(max_length=MAX_TEXT)]
PromptText = Annotated[str, Meta(max_length=2 * MAX_TEXT, description="holds a LongText and more")]
Paragraph = Annotated[str, Meta(max_length=8_000)]
Line = Annotated[str, Meta(max_length=2_000)]

PATTERNS: Mapping[str, str] = {
    repr(_TASK_ID): _TASK_ID_WORDS,
    repr(_NAME): _NAME_WORDS,
    repr(_TEXT): "more than white space",
}
"""Each pattern, as msgspec quotes it in its errors, in words."""
