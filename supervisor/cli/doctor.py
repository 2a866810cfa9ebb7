"""`conclave doctor`: what is there, what is not, and what to do."""

import asyncio
from collections.abc import Sequence

import typer
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from actors.bus import BusError
from supervisor import config
from supervisor.cli import errors, output, text
from supervisor.cli.doctor_system import system
from supervisor.cli.options import Common, command
from supervisor.cli.session import bus_settings, connected
from supervisor.doctor import Finding, State, healthy, machine

app = typer.Typer()

MARK: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "note": ("!", "yellow"),
    "problem": ("✗", "red"),
}


@app.command()
@command
def doctor(common: Common) -> int:
    """Look at everything: Python, programs, packages, GPU, model, NATS, streams, actors, agents.

    What is amiss is told together with what to do. Exit code 1 if something needed is missing.

    For example: [bold]conclave doctor --json | jq 'select(.state == "problem")'[/]
    """
    findings = [*machine(config.load(common.config)), *asyncio.run(_reached(common))]
    if common.json:
        for finding in findings:
            output.document(finding)
    else:
        output.show(view(findings))
    return errors.OK if healthy(findings) else errors.FAILED


async def _reached(common: Common) -> list[Finding]:
    url = config.masked_url(bus_settings(common).url)
    try:
        async with connected(common) as client:
            there = Finding(what="server", state="ok", found=url)
            return [there, *[finding async for finding in system(client)]]
    except BusError as error:
        todo = "conclave up starts everything here; or give --server, --context or NATS_URL"
        return [Finding(what="server", state="problem", found=text.plain(str(error)), todo=todo)]


def view(findings: Sequence[Finding]) -> RenderableType:
    """Return a table with a mark for each finding, remedies under what is amiss."""
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(width=1)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for finding in findings:
        mark, style = MARK[finding.state]
        found = Text(text.plain(finding.found))
        if finding.todo:
            found.append(f"\n→ {finding.todo}", style)
        table.add_row(Text(mark, style), finding.what, found)
    return table
