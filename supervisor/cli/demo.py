"""`conclave demo`: the main job, from nothing to ranked results, and back to nothing."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct
from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from actors.bus import nats_bus
from actors.settings import EngineName
from supervisor import config as configured
from supervisor import demo as demonstration
from supervisor.cli import demo_view, errors, live, output
from supervisor.cli.board import CouncilView
from supervisor.cli.options import Common, command
from supervisor.cli.patience import patience
from supervisor.cli.recording import Recording
from supervisor.client import Client
from supervisor.config import Config
from supervisor.up import running

app = typer.Typer()

MANY = 3
"""Seats that are timed against one."""


class Wishes(Struct, frozen=True):
    """What the user wants to see."""

    tasks: Mapping[str, str]
    seats: int | None
    max_tokens: int


@app.command()
@command
def demo(  # noqa: PLR0913, PLR0917 - one for each option
    common: Common,
    task: Annotated[str, typer.Option(metavar="TEXT", help="Your own task, instead of ours.")] = "",
    role: Annotated[
        str | None, typer.Option("--role", "-r", help="Only this council. [default: all five]")
    ] = None,
    agents: Annotated[
        int | None, typer.Option("--agents", "-n", min=1, help="Seats of each. [default: all]")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Hub id or folder. [default: Qwen/Qwen3-0.6B]"),
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="scripted: fixed text, for trying things out.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer of a seat.")] = 96,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save what was shown as a picture.")
    ] = None,
) -> int:
    """Start everything, ask five councils at once, show their answers, stop everything.

    NATS listens on a free port of this machine, its store is temporary: nothing stays behind.
    Afterwards three seats are timed against one. Exit code 0 if every deliberation COMPLETED.

    For example:

    [bold]conclave demo --task "Should this queue be a table?" --role ARCHITECT[/]

    [bold]conclave demo --engine scripted[/]
    """
    flags = {
        "nats": {"url": ""},
        "server": {"port": 0, "temporary_store": True},
        "pools": {"*": {"engine": engine, "model": model}},
    }
    config = configured.load(common.config, flags)
    stage = Recording(output.console(), svg)
    handler = RichHandler(console=stage.console, show_path=False, show_time=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    wishes = Wishes(tasks=chosen(task, role), seats=agents, max_tokens=max_tokens)
    return asyncio.run(_perform(config, wishes, stage))


def chosen(task: str, role: str | None) -> Mapping[str, str]:
    """Return what each council is asked: the user's own task of one, or ours."""
    if task:
        return {role or "DEV": task}
    if role is None:
        return demonstration.TASKS
    if role not in demonstration.TASKS:
        raise typer.BadParameter(f"there is no task for {role}; bring one with --task")
    return {role: demonstration.TASKS[role]}


async def _perform(config: Config, wishes: Wishes, stage: Recording) -> int:
    # What Ctrl-C does, which asyncio.run has set by now: end the block, so that nothing stays.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    async with _started(config, stage.console) as (url, client):
        councils = await demonstration.views(client, wishes.tasks, wishes.seats)
        agents = (await client.stats()).agents
        stage.show(demo_view.head(url, councils, agents))
        if note := demo_view.model_note(config, agents):
            stage.show(note)
        async with live.showing(stage.console, councils) as view:
            outcomes = await demonstration.ask_all(
                client,
                councils,
                stage.seeing(view, councils),
                max_tokens=wishes.max_tokens,
                seats=wishes.seats,
            )
        first, *others = demo_view.results(councils)
        stage.show(first)
        stage.show(*others, kept=False)
        stage.show(demo_view.summary(councils))
        done = all(outcome.status == "COMPLETED" for outcome in outcomes)
        if done:
            await _time_seats(client, councils[0], wishes.max_tokens, stage)
    stage.show(Text("everything has stopped: agents, actors, nats-server", "dim"))
    stage.save()
    return errors.OK if done else errors.FAILED


async def _time_seats(
    client: Client, council: CouncilView, max_tokens: int, stage: Recording
) -> None:
    seats = min(MANY, len(council.seats))
    if seats == 1:
        return
    async with patience(stage.console, f"timing one seat against {seats}"):
        measured = await demonstration.scaling(
            client, council.role, council.task, max_tokens, seats
        )
    stage.show(demo_view.scaling(measured))


@asynccontextmanager
async def _started(config: Config, console: Console) -> AsyncIterator[tuple[str, Client]]:
    """Start everything, connect, and stop everything at the end."""
    began = time.perf_counter()
    async with AsyncExitStack() as stack:
        async with patience(console, "starting nats-server, actors and agents"):
            system = await stack.enter_async_context(running(config))
            bus = await nats_bus.connect(system.nats, "conclave-demo")
        stack.push_async_callback(bus.close)
        took = time.perf_counter() - began
        console.print(f"ready {system.url} in {took:.1f} s", style="dim")
        yield system.url, Client(bus, timeout_s=30.0)
        async with patience(console, "stopping"):
            await stack.aclose()
