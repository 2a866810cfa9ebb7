"""`conclave config`: what is in effect, from file, environment and flags together."""

import sys

import typer

from supervisor import config as configured
from supervisor.cli import errors, output
from supervisor.cli.options import Common, command
from supervisor.cli.toml import toml

app = typer.Typer()


@app.command()
@command
def config(common: Common) -> int:
    """Show the configuration in effect as TOML, secrets masked.

    It is made of defaults, then --config (or $CONCLAVE_CONFIG), then $CONCLAVE_SECTION__KEY and
    $NATS_URL, then flags. What is printed can be saved and edited; deploy/conclave.toml explains
    each key.

    For example: [bold]CONCLAVE_SERVER__PORT=0 conclave config[/]
    """
    flags = {"nats": {"url": common.server or None}}
    shown = configured.masked(configured.load(common.config, flags))
    if common.json:
        output.document(shown)
    else:
        sys.stdout.write(toml(shown))
    return errors.OK
