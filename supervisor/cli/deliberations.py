"""`conclave get | wait | list | cancel`: deliberations by their `task_id`."""

from typing import Annotated

import typer

from schemas.deliberation import FINAL_STATUSES, ListQuery, Status
from supervisor.cli import errors, output, results
from supervisor.cli.options import Common, Cursor, Limit, command
from supervisor.cli.session import ask_once

app = typer.Typer()

TaskId = Annotated[str, typer.Argument(metavar="TASK_ID", help="As told by `conclave ask`.")]


@app.command()
@command
def get(
    common: Common,
    task_id: TaskId,
    author: Annotated[
        str | None, typer.Option(metavar="SEAT", help="Only this seat's proposal.")
    ] = None,
) -> int:
    """Show what is known of a deliberation now: its results, or how far it is.

    For example: [bold]conclave get 01HV… --json | jq .winner_id[/]
    """
    known = ask_once(common, lambda client: client.get(task_id, author))
    if common.json:
        output.document(known)
    else:
        output.show(results.deliberation(known))
    return errors.OK


@app.command()
@command
def wait(
    common: Common,
    task_id: TaskId,
    seconds: Annotated[
        float,
        typer.Option("--for", metavar="SECONDS", min=0.001, max=3600, help="At most so long."),
    ] = 300.0,
) -> int:
    """Wait until a deliberation is over, then show it.

    Exit code 0 if it COMPLETED, 1 if it FAILED or was CANCELLED, 3 if it ended as TIMEOUT or is
    not over yet.

    For example: [bold]conclave wait 01HV… --for 60[/]
    """
    known = ask_once(common, lambda client: client.wait(task_id, seconds))
    if common.json:
        output.document(known)
    else:
        output.show(results.deliberation(known))
    if known.status not in FINAL_STATUSES:
        errors.say(f"conclave: {task_id} is not over after {seconds:g} s: {known.status}")
        return errors.UNREACHABLE
    return errors.exit_code_for(known.status)


@app.command("list")
@command
def list_(
    common: Common,
    role: Annotated[str | None, typer.Option("--role", "-r", help="Only this council.")] = None,
    status: Annotated[
        Status | None, typer.Option(case_sensitive=False, help="Only this status.")
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> int:
    """List deliberations, newest first.

    For example: [bold]conclave list --role DEV --status COMPLETED -n 5[/]
    """
    query = ListQuery(status=status, role=role, limit=limit, cursor=cursor)
    page = ask_once(common, lambda client: client.list(query))
    if common.json:
        output.document(page)
    else:
        output.show(*results.page(page))
    return errors.OK


@app.command()
@command
def cancel(
    common: Common,
    task_id: TaskId,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Kept with the outcome.")] = "",
) -> int:
    """End a deliberation now; its running generations are aborted in the engine.

    For example: [bold]conclave cancel 01HV… --reason "asked the wrong council"[/]
    """
    cancelled = ask_once(common, lambda client: client.cancel(task_id, reason))
    if common.json:
        output.document(cancelled)
    else:
        output.show(f"{cancelled.task_id} is {cancelled.status}")
    return errors.OK
