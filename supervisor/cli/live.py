"""The live view of running councils: seats filling in, text streaming, time.

On a terminal a picture that is drawn anew; elsewhere lines that can be read later.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from schemas.deliberation import DeliberationRequest
from schemas.progress import SeatAnswered, SeatFailed, SeatStarted
from schemas.result import Deliberation
from supervisor.cli import text
from supervisor.cli.board import CouncilView
from supervisor.cli.picture import board
from supervisor.client import Client, Event

FRAMES_PER_S = 8


class View(Protocol):
    """Told of every event after the board has noted it."""

    def __call__(self, council: CouncilView, event: Event | None) -> None:
        """Show it; no event means that the request was accepted."""


@asynccontextmanager
async def showing(console: Console, councils: Sequence[CouncilView]) -> AsyncIterator[View]:
    """Show `councils` while they deliberate, in the way that suits the console."""
    if not console.is_terminal:
        yield Lines(console)
        return

    def picture() -> RenderableType:
        return board(councils, time.perf_counter(), console.width)

    with Live(
        get_renderable=picture, console=console, refresh_per_second=FRAMES_PER_S, transient=True
    ):
        yield _drawn_by_clock


def _drawn_by_clock(council: CouncilView, event: Event | None) -> None:
    del council, event


async def deliberate(
    client: Client, request: DeliberationRequest, council: CouncilView, view: View
) -> Deliberation:
    """Ask, watch until the outcome, and return it. The request must bring its `task_id`."""
    task_id = request.task_id or ""
    async with client.watching(task_id) as events:
        council.sent = time.perf_counter()
        accepted = await client.submit(request)
        council.accept(accepted, (time.perf_counter() - council.sent) * 1_000)
        view(council, None)
        if accepted.duplicate and (known := await client.ended(task_id)):
            council.take(known, time.perf_counter())
            return known
        async for event in events:
            council.take(event, time.perf_counter())
            view(council, event)
            if isinstance(event, Deliberation):
                return event
    raise AssertionError("the events of a deliberation end with its outcome")


class Lines:
    """Progress as lines, for files and pipes; pieces of text are not told."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[tuple[str, str, int]] = set()

    def __call__(self, council: CouncilView, event: Event | None) -> None:
        """Print one line for all but pieces of text."""
        match event:
            case None:
                seats = ", ".join(council.seats)
                self._print(council, f"accepted in {council.ack_ms:.1f} ms: {seats}")
            case SeatStarted():
                who = text.model(event.model, event.engine)
                self._print(council, f"{event.seat} writes: {event.stage} ({who})")
            case Deliberation():
                self._tell_ended(council)
                winner = f", {event.winner_id} won" if event.winner_id else ""
                took = text.duration(event.duration_ms)
                self._print(council, f"{event.status} after {took}{winner}")
            case SeatAnswered() | SeatFailed():
                self._tell_ended(council)

    def _tell_ended(self, council: CouncilView) -> None:
        """Print a line for each seat that ended since; its own event may come too late."""
        task_id = council.accepted.task_id if council.accepted else ""
        for seat in council.seats.values():
            told = (task_id, seat.seat, seat.round)
            if seat.state not in ("answered", "failed") or told in self._told:
                continue
            self._told.add(told)
            if seat.state == "failed":
                self._print(council, f"{seat.seat} failed: {text.one_line(seat.why, 200)}")
            else:
                said, count = text.one_line(seat.text, 60), seat.usage.completion_tokens
                self._print(council, f"{seat.seat} answered, {count} tokens: {said}")

    def _print(self, council: CouncilView, what: str) -> None:
        elapsed = council.seconds(time.perf_counter())
        line = f"{elapsed:7.2f} s  {council.role:<9}  {what}"
        self._console.print(line, markup=False, soft_wrap=True)
