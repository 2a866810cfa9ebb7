"""The picture of running councils: a line for each council, a line for each seat.

Drawn anew many times a second; it only looks at the board, and computes little.
"""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from supervisor.cli import text
from supervisor.cli.board import CouncilView, SeatView, State
from supervisor.cli.results import STYLE

GLYPH: dict[State, tuple[str, str]] = {
    "waiting": ("·", "dim"),
    "writing": ("▸", "cyan"),
    "answered": ("✓", "green"),
    "failed": ("✗", "red"),
}
FIGURES = 23
"""Columns for mark, tokens, time and the gaps between."""
LEAST_OF_TASK = 20
"""Fewer characters of a task tell nothing."""


def board(councils: Sequence[CouncilView], now: float, width: int) -> RenderableType:
    """Return the picture: a line for each council, then a line for each of its seats."""
    name = max(len(seat) for council in councils for seat in ("", *council.seats))
    parts: list[RenderableType] = []
    for council in councils:
        parts += [_head(council, now, width), _seats(council, now, width, name)]
    return Group(*parts)


def _head(council: CouncilView, now: float, width: int) -> Text:
    head = Text.assemble((f"{council.role:<10}", "bold"))
    outcome = council.outcome
    if outcome is not None:
        head.append(f"{outcome.status} ", STYLE[outcome.status])
        head.append(f"in {text.duration(outcome.duration_ms)}", "dim")
        if outcome.winner_id:
            score = outcome.results[0].score if outcome.results else 0.0
            head.append("  ★ ", "yellow").append(f"{outcome.winner_id}  score {score:.2f}")
        return head
    if council.accepted is None:
        head.append("asking…", "dim")
    else:
        head.append(f"{council.seconds(now):.1f} s", "yellow")
        head.append(f"  acknowledged in {council.ack_ms:.1f} ms", "dim")
    left = width - head.cell_len - 3
    if left > LEAST_OF_TASK:
        head.append(f"  {text.one_line(council.task, left)}", "dim italic")
    return head


def _seats(council: CouncilView, now: float, width: int, name: int) -> Table:
    grid = Table.grid(padding=(0, 1))
    said = max(10, width - name - FIGURES)
    for column in (1, 1, name, said):
        grid.add_column(width=column, no_wrap=True)
    for column in (8, 7):
        grid.add_column(width=column, no_wrap=True, justify="right")
    winner = council.outcome.winner_id if council.outcome else None
    for seat in council.seats.values():
        glyph, style = ("★", "yellow") if seat.seat == winner else GLYPH[seat.state]
        written, spent = seat.usage.completion_tokens, seat.seconds(now)
        grid.add_row(
            "",
            Text(glyph, style),
            Text(seat.seat, "dim" if seat.state == "waiting" else ""),
            _said(seat, said),
            Text(f"{written} tok" if written else "", "dim"),
            Text(f"{spent:.1f} s" if spent else "", "dim"),
        )
    return grid


def _said(seat: SeatView, width: int) -> Text:
    match seat.state:
        case "waiting" | "writing" if not seat.text:
            return Text(text.one_line(seat.persona, width), "dim italic")
        case "failed":
            return Text(text.one_line(seat.why, width), "red")
        case "answered":
            return Text(text.one_line(seat.text, width), "dim")
        case _:
            return Text.assemble(text.tail(seat.text, width - 1), ("▍", "cyan"))
