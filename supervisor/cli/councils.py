"""`conclave councils`: who sits where."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from schemas import codec
from schemas.council import Council, CouncilCreate, Seat
from schemas.errors import BadMessage, Refused
from supervisor.cli import errors, output, text
from supervisor.cli.files import read_bytes
from supervisor.cli.options import Common, command
from supervisor.cli.session import ask_once
from supervisor.cli.tables import plain_table

app = typer.Typer()
councils = typer.Typer(no_args_is_help=True, help="List, show, create and delete councils.")
app.add_typer(councils, name="councils")

Role = Annotated[str, typer.Argument(metavar="ROLE", help="Name of the council, as in --role.")]


@councils.command("list")
@command
def list_(common: Common) -> int:
    """List every council and its seats."""
    found = ask_once(common, lambda client: client.councils())
    if common.json:
        output.document(found)
    else:
        output.show(seats(found.councils))
    return errors.OK


@councils.command()
@command
def show(common: Common, role: Role) -> int:
    """Show one council.

    For example: [bold]conclave councils show DEV --json > dev.json[/]
    """
    _print(common, ask_once(common, lambda client: client.council(role)))
    return errors.OK


@councils.command()
@command
def create(
    common: Common,
    role: Role,
    seat: Annotated[
        list[str] | None,
        typer.Option(metavar="PERSONA", help="A seat with this persona; once for each seat."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="JSON with `seats` [{`id`, `persona`, `queue`?, `sampling`?}] and `description`?;"
            " - for stdin.",
        ),
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
) -> int:
    """Make a council; it can be asked at once.

    For example:

    [bold]conclave councils create LEGAL --seat "contract lawyer" --seat "privacy officer"[/]

    [bold]conclave councils create LEGAL --file legal.json[/]
    """
    if bool(seat) == (file is not None):
        raise typer.BadParameter("give either --seat, once for each seat, or --file")
    wanted = _from_file(role, file) if file else _from_personas(role, seat or [])
    if description is not None:
        wanted = CouncilCreate(role=wanted.role, seats=wanted.seats, description=description)
    _print(common, ask_once(common, lambda client: client.create_council(wanted)))
    return errors.OK


@councils.command()
@command
def delete(common: Common, role: Role) -> int:
    """Remove a council. Deliberations that run keep their seats."""
    gone = ask_once(common, lambda client: client.delete_council(role))
    if common.json:
        output.document(gone)
    else:
        output.show(f"{gone.role} is deleted")
    return errors.OK


def _from_personas(role: str, personas: Sequence[str]) -> CouncilCreate:
    seats = (
        Seat(id=f"agent-{role.lower()}-{number:03d}", persona=persona)
        for number, persona in enumerate(personas, 1)
    )
    return CouncilCreate(role=role, seats=tuple(seats))


def _from_file(role: str, file: Path) -> CouncilCreate:
    body = read_bytes(file)
    try:
        found = codec.decode(Council, codec.encode({"role": role} | codec.decode(dict, body)))
    except BadMessage as error:
        raise Refused(error.code, f"{file}: {error.message}", error.path) from None
    if found.role != role:
        raise Refused("bad_request", f"{file} describes {found.role}, not {role}", "$.role")
    return CouncilCreate(role=role, seats=found.seats, description=found.description)


def _print(common: Common, council: Council) -> None:
    if common.json:
        output.document(council)
    else:
        output.show(seats([council]))


def seats(found: Sequence[Council]) -> RenderableType:
    """Return a table of seats, council by council."""
    table = plain_table()
    table.add_column("council", no_wrap=True, style="bold")
    table.add_column("seat", no_wrap=True)
    table.add_column("persona")
    table.add_column("queue", no_wrap=True)
    for council in found:
        for number, seat in enumerate(council.seats):
            table.add_row(
                "" if number else council.role,
                seat.id,
                Text(text.plain(seat.persona)),
                seat.queue or council.role,
                end_section=number == len(council.seats) - 1,
            )
    return table
