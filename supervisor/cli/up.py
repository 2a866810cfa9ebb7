"""`conclave up`: everything on this machine, under one supervisor."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from actors.settings import EngineName
from supervisor import config as configured
from supervisor import up as everything
from supervisor.cli.options import Common, command

app = typer.Typer()


@app.command()
@command
def up(
    common: Common,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Of NATS; 0: a free one. [default: 4222]")
    ] = None,
    store_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where deliberations are kept. [default: ~/.local/share/conclave]"
        ),
    ] = None,
    nats: Annotated[
        str | None,
        typer.Option(
            "--nats", metavar="URL", help="Use this server instead of starting one; as --server."
        ),
    ] = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(help="Of every pool: vllm, or scripted (fixed text, no model)."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of every pool: hub id or folder. [default: Qwen/Qwen3-0.6B]"
        ),
    ] = None,
) -> int:
    """Start nats-server, the actors and the agents; keep them alive; stop them all on Ctrl-C.

    Prints one line, [bold]ready nats://…[/], on stdout once every actor answers. SIGTERM or Ctrl-C
    drains and exits 0. Exit code 70 if children keep failing.

    For example:

    [bold]conclave up[/]

    [bold]conclave up --port 0 --engine scripted --store-dir /tmp/councils[/]
    """
    flags = {
        "nats": {"url": nats or common.server or None},
        "server": {"port": port, "store_dir": str(store_dir) if store_dir else None},
        "pools": {"*": {"engine": engine, "model": model}},
    }
    config = configured.load(common.config, flags)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return asyncio.run(everything.up(config))
