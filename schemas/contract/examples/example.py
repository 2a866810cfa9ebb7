"""An example: a message where it would be seen."""

from typing import Any, Final

from msgspec import Struct

from schemas.council import Sampling, Seat
from schemas.version import SCHEMA_HEADERS

TASK: Final = "billing-1"
ROLE: Final = "DEV"
FIRST: Final = "agent-dev-001"
SECOND: Final = "agent-dev-002"
NOW: Final = 1_795_444_311_916
TOKEN: Final = "3f9c27d18a5be604"  # noqa: S105 - of an example
SEATS: Final = (
    Seat(id=FIRST, persona="pragmatic implementer who wants the smallest change"),
    Seat(
        id=SECOND,
        persona="sceptical reviewer who looks for failure paths — naïve retries first",
        queue="node-reviewers",
        sampling=Sampling(temperature=0.2, seed=7, stop=("\n\n",)),
    ),
)


class Example(Struct, frozen=True, kw_only=True):
    """A message where it would be seen. A reply has no subject of its own, but that it answers."""

    name: str
    message: Any
    subject: str = ""
    answers: str = ""
    headers: dict[str, str] = {}


def said(subject: str, message: Struct, which: str = "") -> Example:
    """A message on a subject."""
    return Example(
        name=_name(message, which), message=message, subject=subject, headers=dict(SCHEMA_HEADERS)
    )


def reply(answers: str, message: Struct, which: str = "", **headers: str) -> Example:
    """A reply to a request on a subject; a header's name has `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Example(
        name=_name(message, which),
        message=message,
        answers=answers,
        headers={**SCHEMA_HEADERS, **named},
    )


def _name(message: Struct, which: str) -> str:
    return f"{type(message).__name__}-{which}" if which else type(message).__name__
