"""Live events on `deliberation.progress.<task_id>`: passing by, unstored, for those who watch."""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.agent import SeatFailure, Stage, Usage
from schemas.types import Count, EpochMs, LongText, Name, RoundNumber, TaskId


class SeatStarted(Struct, frozen=True, kw_only=True, tag_field="event", tag="seat_started"):
    """An agent took up a seat's request; `stage` tells what it was asked for."""

    task_id: TaskId
    round: RoundNumber
    seat: Name
    stage: Stage = "propose"
    model: Annotated[str, Meta(max_length=256)] = ""
    engine: Annotated[str, Meta(max_length=64)] = ""
    at_ms: EpochMs = 0


class TextDelta(Struct, frozen=True, kw_only=True, tag_field="event", tag="delta"):
    """The next piece of a seat's text; `offset` is its place in characters.

    A redelivered seat starts again at offset 0.
    """

    task_id: TaskId
    round: RoundNumber
    seat: Name
    text: LongText
    offset: Count = 0


class SeatAnswered(Struct, frozen=True, kw_only=True, tag_field="event", tag="seat_answered"):
    """A seat's answer is stored."""

    task_id: TaskId
    round: RoundNumber
    seat: Name
    usage: Usage = Usage()


class SeatFailed(Struct, frozen=True, kw_only=True, tag_field="event", tag="seat_failed"):
    """A seat's failure is stored."""

    task_id: TaskId
    round: RoundNumber
    seat: Name
    failure: SeatFailure


Progress = SeatStarted | TextDelta | SeatAnswered | SeatFailed
