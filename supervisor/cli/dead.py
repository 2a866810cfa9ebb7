"""`conclave dead`: messages that could not be processed."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from schemas.dead_letter import DeadLetter, DeadLetterListQuery, DeadLetterPage, LetterState
from supervisor.cli import errors, output, text
from supervisor.cli.options import Common, Cursor, Limit, command
from supervisor.cli.session import ask_once
from supervisor.cli.tables import plain_table

app = typer.Typer()
dead = typer.Typer(
    no_args_is_help=True, help="List, show, retry and drop messages that could not be processed."
)
app.add_typer(dead, name="dead")

LetterId = Annotated[int, typer.Argument(metavar="ID", min=1, help="As `conclave dead list` says.")]


@dead.command("list")
@command
def list_(
    common: Common,
    state: Annotated[LetterState, typer.Option(help="What became of them.")] = "dead",
    every: Annotated[bool, typer.Option("--all", help="Whatever became of them.")] = False,
    task_id: Annotated[
        str | None, typer.Option("--task", metavar="TASK_ID", help="Only of this deliberation.")
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> int:
    """List dead letters, oldest first.

    For example: [bold]conclave dead list --all --task 01HV…[/]
    """
    query = DeadLetterListQuery(
        state=None if every else state, task_id=task_id, limit=limit, cursor=cursor
    )
    page = ask_once(common, lambda client: client.dead_letters(query))
    if common.json:
        output.document(page)
    else:
        output.show(*_page(page))
    return errors.OK


@dead.command()
@command
def show(common: Common, letter: LetterId) -> int:
    """Show one letter with its message.

    For example: [bold]conclave dead show 4711 --json | jq -r .body[/]
    """
    _print(common, ask_once(common, lambda client: client.dead_letter(letter)))
    return errors.OK


@dead.command()
@command
def retry(common: Common, letter: LetterId) -> int:
    """Send the message again, once, to where it was. Mend first what it died of."""
    _print(common, ask_once(common, lambda client: client.retry_letter(letter)))
    return errors.OK


@dead.command()
@command
def drop(common: Common, letter: LetterId) -> int:
    """Let a letter go. What it was made of stays in the stream as long as everything does."""
    _print(common, ask_once(common, lambda client: client.drop_letter(letter)))
    return errors.OK


def _print(common: Common, letter: DeadLetter) -> None:
    if common.json:
        output.document(letter)
    else:
        output.show(_letter(letter))


def _letter(letter: DeadLetter) -> RenderableType:
    became: str = letter.state
    if letter.retried_as is not None:
        became += f" as #{letter.retried_as}"
    facts = {
        "letter": f"{letter.id}, {became}",
        "subject": letter.subject,
        "task_id": letter.task_id or "",
        "reason": f"{letter.code}: {letter.reason}",
        "attempts": str(letter.attempts),
        "stored": text.clock(letter.stored_at_ms),
        "died": text.clock(letter.died_at_ms),
        "size": f"{letter.size:,} bytes",
        **{f"header {name}": value for name, value in letter.headers.items()},
    }
    lines = [
        Text.assemble((f"{name:10}  ", "dim"), text.one_line(value, 400))
        for name, value in facts.items()
        if value
    ]
    said = letter.body or letter.body_base64
    return Group(*lines, *([Text(""), text.body(said)] if said else []))


def _cut(line: str) -> Text:
    return Text(line, no_wrap=True, overflow="ellipsis")


def _page(found: DeadLetterPage) -> Sequence[RenderableType]:
    table = plain_table()
    for name in ("id", "state", "died", "subject", "tries", "reason"):
        # In a narrow terminal the long columns give way, cut short instead of wrapped.
        table.add_column(name, no_wrap=name not in ("subject", "reason"))
    for letter in found.letters:
        table.add_row(
            str(letter.id),
            letter.state,
            text.clock(letter.died_at_ms),
            _cut(text.one_line(letter.subject, 60)),
            str(letter.attempts),
            _cut(text.one_line(f"{letter.code}: {letter.reason}", 120)),
        )
    if not found.letters:
        return ("No dead letters.",)
    if found.cursor is None:
        return (table,)
    return (table, Text(f"Newer ones: conclave dead list --cursor {found.cursor}", "dim"))
