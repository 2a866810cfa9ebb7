"""`conclave stats`: what the councils did, and which agents are alive."""

from collections.abc import Sequence

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from schemas.result import Stats
from supervisor.cli import errors, output, text
from supervisor.cli.options import Common, command
from supervisor.cli.session import ask_once
from supervisor.cli.tables import plain_table

app = typer.Typer()


@app.command()
@command
def stats(common: Common) -> int:
    """Show counts, latencies and tokens per council, and the agents alive with their slots.

    For example: [bold]watch -n1 conclave stats[/]
    """
    found = ask_once(common, lambda client: client.stats())
    if common.json:
        output.document(found)
    else:
        output.show(*views(found))
    return errors.OK


def views(found: Stats) -> Sequence[RenderableType]:
    """Return a sentence, a table of councils and a table of agents."""
    hours = found.window_seconds / 3_600
    head = Text.assemble(
        (f"Last {hours:g} h", "bold"),
        f": {found.completed} completed, {found.failed} failed, {found.timeout} timed out,"
        f" {found.cancelled} cancelled; {text.tokens(found.usage)} tokens"
        " (prompt / cached / completion)",
    )
    return (head, *_refused(found), _councils(found), _agents(found))


def _refused(found: Stats) -> Sequence[RenderableType]:
    """What seats sent that changed nothing: none of it is normal where all seats are one's own."""
    reasons = sorted(found.responses_refused.items())
    told = ", ".join(f"{count} {text.plain(reason)}" for reason, count in reasons)
    return (Text(f"Responses that changed nothing: {told}"),) if told else ()


def _councils(found: Stats) -> RenderableType:
    table = _table("Councils", "role", "ok", "failed", "timeout", "cancelled", "seats failed")
    for name in ("p50", "p90", "p99", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for council in found.councils:
        took = council.duration
        table.add_row(
            council.role,
            *(str(n) for n in (council.completed, council.failed, council.timeout)),
            *(str(n) for n in (council.cancelled, council.seat_failures)),
            *(text.duration(ms) for ms in (took.p50, took.p90, took.p99, took.max)),
        )
    return table


def _agents(found: Stats) -> RenderableType:
    if not found.agents:
        return Text("No agent is alive: start one with conclave run agent, or conclave up.", "red")
    table = _table("Agents", "agent", "pool", "running", "slots", "answered", "failed", "aborted")
    table.add_column("model", overflow="ellipsis")
    table.add_column("queues", overflow="ellipsis")
    for agent in found.agents:
        table.add_row(
            text.plain(agent.agent),
            text.plain(agent.pool),
            *(str(n) for n in (agent.running, agent.slots, agent.answered)),
            *(str(n) for n in (agent.failed, agent.aborted)),
            text.model(agent.model, agent.engine),
            text.plain(" ".join(agent.queues)),
        )
    return table


def _table(title: str, name: str, *counts: str) -> Table:
    table = plain_table()
    table.title, table.title_justify, table.title_style = f"\n{title}", "left", "bold"
    table.add_column(name, no_wrap=True)
    for count in counts:
        table.add_column(count, justify="left" if count == "pool" else "right", no_wrap=True)
    return table
