"""`conclave contract`: what any program needs to know to talk to Conclave."""

from enum import StrEnum
from typing import Annotated

import typer

from schemas.codec import encode
from schemas.contract import golden, json_schema
from schemas.contract.asyncapi import document
from schemas.contract.markdown import page
from supervisor.cli import errors, output
from supervisor.cli.options import Common, command

app = typer.Typer()


class Format(StrEnum):
    """Forms of the same contract."""

    ASYNCAPI = "asyncapi"
    SCHEMAS = "schemas"
    MARKDOWN = "markdown"


@app.command()
@command
def contract(
    common: Common,
    format: Annotated[  # noqa: A002 -- an option is called what people expect
        Format,
        typer.Option("--format", "-f", help="AsyncAPI 3.0, JSON Schema by message, or a page."),
    ] = Format.ASYNCAPI,
) -> int:
    """Print the contract of this version: subjects, messages, fields, errors. Needs no server.

    For example: [bold]conclave contract --format markdown[/]; a running system's own is
    [bold]nats req deliberation.contract ''[/]
    """
    if format is Format.MARKDOWN:
        output.line(page().encode())
        return errors.OK
    found = document() if format is Format.ASYNCAPI else _schemas()
    output.line(encode(found) if common.json else golden.pretty(found).rstrip())
    return errors.OK


def _schemas() -> dict[str, object]:
    return {kind.__name__: json_schema.standalone(kind) for kind in json_schema.messages()}
