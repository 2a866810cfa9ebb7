"""`conclave run`: one actor by itself, for deployment."""

import os
import socket
from typing import Annotated

import typer
from msgspec.structs import replace

from supervisor import config as configured
from supervisor.cli import child
from supervisor.cli.child import Kind
from supervisor.cli.options import Common, command
from supervisor.cli.session import bus_settings

app = typer.Typer()


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
    name = instance or f"{socket.gethostname().split('.')[0]}-{os.getpid()}"
    return child.run(kind, config, name, pool, supervised=supervised)
