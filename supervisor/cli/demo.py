"""`conclave demo`: the main job, from nothing to ranked results, and back to nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from actors import nats_bus
from actors.settings import EngineName
from supervisor import config as configured
from supervisor import demo as demonstration
from supervisor.cli import demo_view, errors, live, output
from supervisor.cli.options import Common, command
from supervisor.cli.recording import Recording
from supervisor.client import Client
from supervisor.config import Config
from supervisor.up import running

app = typer.Typer()


@app.command()
@command
def demo(
    common: Common,
    task: Annotated[str, typer.Option(metavar="TEXT", help="Your own task, instead of ours.")] = "",
    role: Annotated[str, typer.Option("--role", "-r", help="The council that gets it.")] = "DEV",
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Hub id or folder. [default: Qwen/Qwen3-0.6B]")
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
    tasks = {role: task} if task else demonstration.TASKS
    stage = Recording(output.console(), svg)
    return asyncio.run(_perform(config, tasks, max_tokens, stage))


async def _perform(
    config: Config, tasks: Mapping[str, str], max_tokens: int, stage: Recording
) -> int:
    async with _started(config, stage.console) as (url, client):
        councils = await demonstration.views(client, tasks)
        agents = (await client.stats()).agents
        stage.show(demo_view.head(url, councils, agents))
        asked = sorted({pool.model for pool in config.pools.values()})
        if note := demo_view.model_note(asked, agents):
            stage.show(note)
        async with live.showing(stage.console, councils) as view:
            outcomes = await demonstration.ask_all(
                client, councils, max_tokens, stage.seeing(view, councils)
            )
        stage.show(demo_view.results(councils), demo_view.summary(councils))
        role, text = next(iter(tasks.items()))
        with stage.console.status("timing one seat against three …"):
            seats = min(3, len(councils[0].seats))
            measured = await demonstration.scaling(client, role, text, max_tokens, seats)
        stage.show(demo_view.scaling(measured))
    stage.show("stopped: agents, actors and nats-server have ended")
    stage.save()
    done = all(outcome.status == "COMPLETED" for outcome in outcomes)
    return errors.OK if done else errors.FAILED


@asynccontextmanager
async def _started(config: Config, console: Console) -> AsyncIterator[tuple[str, Client]]:
    """Start everything, connect, and stop everything at the end."""
    starting = console.status("starting nats-server, actors and agents …")
    starting.start()
    if not console.is_terminal:
        console.print("starting nats-server, actors and agents …")
    began = time.perf_counter()
    try:
        async with running(config) as system:
            bus = await nats_bus.connect(system.settings, "conclave-demo")
            try:
                starting.stop()
                took = time.perf_counter() - began
                console.print(f"ready {system.url} in {took:.1f} s", style="dim")
                yield system.url, Client(bus, timeout_s=30.0)
            finally:
                await bus.close()
    finally:
        starting.stop()
