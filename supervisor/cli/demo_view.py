"""What the demonstration shows beside the live view: a head, the results, the figures."""

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from actors.engines.models import BUNDLED_NAME, DEFAULT_MODEL
from schemas.agent import Usage
from schemas.result import NOT_NEEDED, AgentStats, Deliberation
from supervisor.cli import text
from supervisor.cli.board import CouncilView
from supervisor.cli.results import STYLE, deliberation
from supervisor.cli.tables import plain_table
from supervisor.config import Config
from supervisor.demo import REPEATS, Scaling

CONTENT_LINES = 12


def head(url: str, councils: Sequence[CouncilView], agents: Sequence[AgentStats]) -> RenderableType:
    """Return who answers, where, and how to listen in from another terminal."""
    seats = sum(len(council.seats) for council in councils)
    who = ", ".join(sorted({text.model(agent.model, agent.engine) for agent in agents})) or "nobody"
    lines = Text.assemble(
        ("Conclave", "bold cyan"),
        f"  {_count(len(councils), 'council')}, {_count(seats, 'seat')}, ",
        (who, "bold"),
        ("\nlisten in: ", "dim"),
        f"nats sub 'deliberation.>' -s {url}",
    )
    return Panel(lines, box=box.ROUNDED, border_style="cyan", padding=(0, 1))


def model_note(config: Config, agents: Sequence[AgentStats]) -> Text | None:
    """Return the line that says so when the bundled model stands in for the default one."""
    wanted = any(
        pool.engine == "vllm" and pool.model == DEFAULT_MODEL for pool in config.pools.values()
    )
    if not wanted or all(agent.model != BUNDLED_NAME for agent in agents):
        return None
    return Text(
        f"Model: {DEFAULT_MODEL} is neither cached here nor to be had from the hub:"
        f" the bundled small model {BUNDLED_NAME} answers instead.",
        "yellow",
    )


def results(councils: Sequence[CouncilView]) -> Sequence[RenderableType]:
    """Return a panel per council: winner and why, ranking, failures, figures."""
    return [
        deliberation(council.outcome, council.task, lines=CONTENT_LINES)
        for council in councils
        if council.outcome is not None
    ]


def summary(councils: Sequence[CouncilView]) -> Table:
    """Return one line per council and a total."""
    table = plain_table()
    for name in ("council", "status", "winner"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("score", "ack", "took", "tokens p / cached / c"):
        table.add_column(name, justify="right", no_wrap=True)
    total = Usage()
    for council in councils:
        known = council.outcome
        if known is None:
            continue
        total += known.usage
        table.add_row(
            Text(known.role, "bold"),
            _status(known),
            known.winner_id or "",
            f"{known.results[0].score:.2f}" if known.results else "",
            f"{council.ack_ms:.1f} ms",
            text.duration(known.duration_ms),
            text.tokens(known.usage),
        )
    table.add_section()
    table.add_row("all", *[""] * 5, text.tokens(total), style="bold")
    return table


def _status(known: Deliberation) -> Text:
    status = Text(known.status, STYLE[known.status])
    failed = [failure for failure in known.failures if failure.code != NOT_NEEDED]
    if failed:
        status.append(f", {_count(len(failed), 'answer')} missing", "red")
    return status


def scaling(measured: Scaling) -> Text:
    """Return what more seats cost in time, and how it was measured."""
    how = (
        f"  {measured.role}: {measured.seats} seats {text.duration(measured.many_ms)}"
        f" ({measured.many_usage.completion_tokens} tokens), 1 seat"
        f" {text.duration(measured.one_ms)} ({measured.one_usage.completion_tokens} tokens);"
        f" median of {REPEATS}"
    )
    return Text.assemble(
        (f"T({measured.seats})/T(1) = {measured.ratio:.2f}", "bold"),
        (how, "dim"),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
