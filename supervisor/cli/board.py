"""What a live view knows: the state of every seat of the councils being asked.

A plain fold over events, so that the views only look and never ask.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from schemas.agent import Stage, Usage
from schemas.deliberation import Accepted
from schemas.progress import SeatAnswered, SeatFailed, SeatStarted, TextDelta
from schemas.result import Deliberation
from supervisor.client import Event

State = Literal["waiting", "writing", "answered", "failed"]


class SeatView(Struct):
    """One seat, as far as events told. Times are seconds of the view's clock."""

    seat: str
    round: int = 0
    stage: Stage = "propose"
    persona: str = ""
    state: State = "waiting"
    text: str = ""
    began: float = 0.0
    ended: float = 0.0
    usage: Usage = Usage()
    why: str = ""

    def begin_round(self, number: int) -> None:
        """Forget what the seat said in the round before."""
        self.round, self.state, self.text = number, "waiting", ""
        self.began = self.ended = 0.0

    def seconds(self, now: float) -> float:
        """Return how long the seat has been writing, or wrote."""
        if not self.began:
            return 0.0
        return (self.ended or now) - self.began


class CouncilView(Struct):
    """One deliberation with its seats, from the request to the outcome."""

    role: str
    task: str
    sent: float = 0.0
    ack_ms: float = 0.0
    accepted: Accepted | None = None
    outcome: Deliberation | None = None
    ended: float = 0.0
    seats: dict[str, SeatView] = {}

    def accept(self, accepted: Accepted, ack_ms: float) -> None:
        """Note the acknowledgement, which tells the seats."""
        self.accepted = accepted
        self.ack_ms = ack_ms
        for seat in accepted.seats:
            self.seats.setdefault(seat, SeatView(seat=seat))
        self.seats = {seat: self.seats[seat] for seat in accepted.seats}

    def take(self, event: Event, now: float) -> None:
        """Note what an event tells."""
        if isinstance(event, Deliberation):
            self._end(event, now)
            return
        seat = self.seats.setdefault(event.seat, SeatView(seat=event.seat))
        if event.round > seat.round:
            seat.begin_round(event.round)
        if not seat.began:
            seat.began = now
        match event:
            case SeatStarted():
                seat.state, seat.stage = "writing", event.stage
            case TextDelta():
                # A redelivered seat starts again at 0; overlap is written over.
                seat.text = seat.text[: event.offset] + event.text
                seat.state = "writing"
            case SeatAnswered():
                seat.state, seat.usage, seat.ended = "answered", event.usage, now
            case SeatFailed():
                seat.state, seat.ended = "failed", now
                seat.why = f"{event.failure.code}: {event.failure.message}"

    def _end(self, outcome: Deliberation, now: float) -> None:
        """Note the outcome, which may overtake the last events of its seats."""
        self.outcome = outcome
        self.ended = now
        for ranked in outcome.results:
            seat = self.seats.setdefault(
                ranked.proposal.author_id, SeatView(seat=ranked.proposal.author_id)
            )
            seat.state, seat.usage = "answered", ranked.proposal.usage
            seat.text, seat.ended = ranked.proposal.content, seat.ended or now
        heard = {ranked.proposal.author_id for ranked in outcome.results}
        for failure in outcome.failures:
            if failure.seat in heard:
                continue  # silent in one round only
            seat = self.seats.setdefault(failure.seat, SeatView(seat=failure.seat))
            seat.state, seat.why = "failed", f"{failure.code}: {failure.message}"
            seat.ended = seat.ended or now

    def seconds(self, now: float) -> float:
        """Return how long the deliberation has been running, or ran."""
        return (self.ended or now) - self.sent if self.sent else 0.0


def settled(councils: Sequence[CouncilView]) -> int:
    """Return how many seats have answered or failed."""
    return sum(
        seat.state in ("answered", "failed")
        for council in councils
        for seat in council.seats.values()
    )
