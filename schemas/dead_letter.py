"""Dead letters: messages that could not be processed, and what may be done with them.

A letter's `id` is the stream sequence of the message it was made of, so a message makes one letter.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.types import Count, EpochMs, Line, TaskId

LetterState = Literal["dead", "retrying", "retried", "dropped"]
"""`retrying` lasts a moment; a letter found so was cut short, and `retry` ends what it began."""

LetterId = Annotated[int, Meta(ge=1, le=2**53, description="stream sequence of the message")]
Subject = Annotated[str, Meta(max_length=256)]


class DeadLetter(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One letter: where it came from, why it is dead, and the message as it was.

    `body` is the text; one that is no UTF-8 is in `body_base64` instead. Both are empty in a list
    and once the letter was retried (as `retried_as`) or dropped. `truncated`: only the beginning
    fitted into a message; `retry` sends the whole.
    """

    id: LetterId
    state: LetterState
    subject: Subject
    reason: Line
    code: Annotated[str, Meta(max_length=64)] = "bad_message"
    task_id: TaskId | None = None
    attempts: Count = 0
    stored_at_ms: EpochMs = 0
    died_at_ms: EpochMs = 0
    size: Count = 0
    headers: dict[str, str] = {}
    body: str = ""
    body_base64: str = ""
    truncated: bool = False
    retried_as: Count | None = None


class DeadLetterQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name one letter: to get it, to retry it, or to drop it."""

    id: LetterId


class DeadLetterListQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for letters, oldest first; `cursor` comes from the page before."""

    state: LetterState | None = "dead"
    task_id: TaskId | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Count | None = None


class DeadLetterPage(Struct, frozen=True, kw_only=True):
    """Letters without their bodies, oldest first. `cursor`, when not null, asks for what is newer.

    With `state` null every letter is listed, what became of it included.
    """

    letters: tuple[DeadLetter, ...] = ()
    cursor: Count | None = None
