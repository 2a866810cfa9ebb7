"""`conclave run`: one actor by itself, for deployment; and what `conclave up` starts.

Six of these start at once on a small machine: nothing is imported here that they do not need.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from importlib import import_module
from typing import Annotated, Literal

import typer
import uvloop
from msgspec.structs import replace

from supervisor import actor
from supervisor import config as configured
from supervisor.cli.options import Common, command
from supervisor.cli.session import bus_settings
from supervisor.config import Config, ConfigError

app = typer.Typer()

Kind = Literal["dispatcher", "collector", "responder", "registry", "agent", "placement"]


@app.command()
@command
def run(
    common: Common,
    kind: Annotated[Kind, typer.Argument(help="Which actor.")],
    instance: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How this one is called. [default: host and process]"),
    ] = None,
    pool: Annotated[
        str, typer.Option(metavar="NAME", help="The agents' pool; agent and placement only.")
    ] = "default",
    supervised: Annotated[
        bool, typer.Option("--supervised", help="Also stop when stdin ends: the parent is gone.")
    ] = False,
) -> int:
    """Run one actor until SIGTERM or Ctrl-C; it finishes what it has in hand and exits 0.

    Run as many of each as you like, anywhere: they share the work. agent holds one engine in
    this process; placement lets Ray place all replicas of a pool.

    For example:

    [bold]conclave run dispatcher --server nats://nats.internal:4222[/]

    [bold]conclave run agent --pool gpu --config conclave.toml[/]
    """
    config = replace(configured.load(common.config), nats=bus_settings(common))
    if pool not in config.pools:
        allowed = ", ".join(config.pools)
        raise ConfigError("command line", "--pool", f"there is no pool {pool!r}", allowed)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    name = instance or f"{socket.gethostname().split('.')[0]}-{os.getpid()}"
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(kind, config, name, pool, supervised=supervised))


async def _run(kind: Kind, config: Config, instance: str, pool: str, *, supervised: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if supervised:
        threading.Thread(target=_until_orphaned, args=(loop, stop), daemon=True).start()
    if kind == "placement":
        placement = import_module("supervisor.placement")  # Ray is heavy and may be absent
        code: int = await placement.run_pool(config, pool, instance, stop)
        return code
    return await actor.run(kind, config, pool, instance, stop)


def _until_orphaned(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait for the end of stdin, which the parent holds open as long as it lives."""
    while os.read(sys.stdin.fileno(), 4_096):
        pass
    loop.call_soon_threadsafe(stop.set)
