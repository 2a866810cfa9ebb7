"""How a deliberation and a page of them look to people."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from schemas.deliberation import Status
from schemas.result import Deliberation, Page, Ranked
from supervisor.cli import election, text
from supervisor.cli.tables import plain_table

STYLE: dict[Status, str] = {
    "PENDING": "dim",
    "IN_PROGRESS": "yellow",
    "COMPLETED": "green",
    "FAILED": "red",
    "TIMEOUT": "red",
    "CANCELLED": "magenta",
}


def deliberation(known: Deliberation, task: str = "", *, lines: int = 0) -> RenderableType:
    """Return a panel with winner, ranking, failures and figures.

    With `lines` the winner's text is cut after so many.
    """
    style = STYLE[known.status]
    parts: list[RenderableType] = []
    if task:
        parts += [text.body(task, "italic"), ""]
    if known.reason:
        parts += [text.body(known.reason, style), ""]
    winner = next((r for r in known.results if r.proposal.author_id == known.winner_id), None)
    if winner is not None:
        parts += [_winner(known, winner, lines), ""]
    if known.results:
        parts += [ranking(known), "", *election.vote(known)]
    parts += [_failure(failure.seat, failure.code, failure.message) for failure in known.failures]
    parts += ["", figures(known)]
    head = Text.assemble((known.role, "bold"), "  ", (known.status, f"bold {style}"))
    if known.degraded:
        head.append("  degraded", "yellow")
    return Panel(
        Group(*parts),
        title=head,
        title_align="left",
        subtitle=Text(known.task_id, "dim"),
        subtitle_align="right",
        border_style=style,
        box=box.ROUNDED,
        padding=(0, 1),
    )


def _winner(known: Deliberation, winner: Ranked, lines: int) -> RenderableType:
    head = Text.assemble(
        ("★ ", "bold yellow"),
        (winner.proposal.author_id, "bold"),
        (f"  score {winner.score:.2f}", "bold green"),
    )
    why = text.body(known.winner_reason, "dim")
    content = text.body(winner.proposal.content)
    if lines:
        content = _cut(content, lines)
    return Group(head, why, "", Padding(content, (0, 2)))


def _cut(content: Text, lines: int) -> Text:
    rows = content.split("\n")
    shown = Text("\n").join(rows[:lines])
    if len(rows) > lines:
        shown.append(f"\n… {len(rows) - lines} more lines: conclave get", "dim")
    return shown


def ranking(known: Deliberation) -> RenderableType:
    """Return every proposal in order, with score, tokens, time and how it begins."""
    table = plain_table(expand=True)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("seat", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("tokens p/cached/c", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("begins", ratio=1, no_wrap=True, overflow="ellipsis")
    for ranked in known.results:
        proposal = ranked.proposal
        won = proposal.author_id == known.winner_id
        table.add_row(
            f"{'★ ' if won else ''}{ranked.rank}",
            proposal.author_id,
            f"{ranked.score:.2f}",
            text.tokens(proposal.usage),
            text.duration(proposal.timing.total_ms),
            Text(text.one_line(proposal.content, 200), "dim"),
            style="bold" if won else "",
        )
    return table


def _failure(seat: str, code: str, message: str) -> Text:
    return Text.assemble(
        ("✗ ", "red"), (seat, "bold"), "  ", (code, "red"), f"  {text.one_line(message, 200)}"
    )


def figures(known: Deliberation) -> Text:
    """Return one line: duration, tokens, quality, and which model on which engine."""
    parts = [text.duration(known.duration_ms) if known.duration_ms else "running"]
    parts.append(f"{text.tokens(known.usage)} tokens")
    if known.results:
        quality = known.quality
        parts.append(f"diversity {quality.diversity:.2f}, relevance {quality.relevance:.2f}")
    if known.saved_tokens_estimate:
        parts.append(f"about {known.saved_tokens_estimate:,} tokens saved by stopping early")
    models = sorted({(r.proposal.model, r.proposal.engine) for r in known.results})
    parts += [text.model(model, engine) for model, engine in models]
    return Text("  ·  ".join(parts), "dim")


def page(found: Page) -> Sequence[RenderableType]:
    """Return a table of summaries, and how to see older ones."""
    table = plain_table()
    for name in ("task_id", "role", "status", "began", "took", "task"):
        table.add_column(
            name, no_wrap=True, overflow="ellipsis", ratio=1 if name == "task" else None
        )
    for summary in found.deliberations:
        table.add_row(
            summary.task_id,
            summary.role,
            Text(summary.status, STYLE[summary.status]),
            text.clock(summary.created_at_ms),
            text.duration(summary.duration_ms) if summary.duration_ms else "",
            Text(text.one_line(summary.task_description, 120)),
        )
    if not found.deliberations:
        return ("No deliberations.",)
    if found.cursor is None:
        return (table,)
    return (table, Text(f"Older ones: conclave list --cursor {found.cursor}", "dim"))
