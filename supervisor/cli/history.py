"""`conclave show | recount`: a finished deliberation looked at again, from what is stored."""

import time
from typing import Annotated

import typer
from rich.text import Text

from actors.bus import Record
from schemas import codec
from schemas.agent import AgentResponse
from schemas.deliberation import CountingRule, Opened, RoundOpened
from schemas.errors import BadMessage, ErrorReply, Refused
from schemas.result import Deliberation
from supervisor.cli import errors, output, results, text
from supervisor.cli.deliberations import TaskId
from supervisor.cli.options import Common, command
from supervisor.cli.session import ask_once

app = typer.Typer()


@app.command()
@command
def show(common: Common, task_id: TaskId) -> int:
    """Print the whole history of a deliberation as the stream has it, then its result.

    With --json every stored event is printed as it is.

    For example: [bold]conclave show 01HV…[/]
    """
    events = ask_once(common, lambda client: client.events(task_id))
    if not events:
        raise Refused("unknown_task", f"no deliberation {task_id}", "$.task_id")
    for event in events:
        if common.json:
            output.line(_as_json(event))
        else:
            output.show(_line(event))
    if not common.json and events[-1].subject.startswith("deliberation.outcome."):
        output.show(
            results.deliberation(codec.read(Deliberation, events[-1].body, events[-1].headers))
        )
    return errors.OK


@app.command()
@command
def recount(
    common: Common,
    task_id: TaskId,
    rule: Annotated[
        CountingRule | None, typer.Option(help="Another counting rule. [default: the same]")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="SEAT", help="Leave a seat out; may be repeated.")
    ] = None,
) -> int:
    """Count the ballots of a finished deliberation again; no model is asked, nothing is stored.

    For example: [bold]conclave recount 01HV… --rule copeland --without agent-dev-002[/]
    """
    again = ask_once(common, lambda client: client.recount(task_id, rule, without or ()))
    if common.json:
        output.document(again)
    else:
        output.show(results.deliberation(again))
    return errors.OK


def _as_json(event: Record) -> bytes:
    """The event as it is stored; a seat's answer in MessagePack is told in JSON."""
    if event.headers.get(codec.CONTENT_TYPE) != codec.MSGPACK:
        return event.body
    try:
        return codec.encode(codec.read(AgentResponse, event.body, event.headers))
    except BadMessage as error:
        return codec.encode(ErrorReply(error=error.body))


def _line(event: Record) -> Text:
    when = time.strftime("%H:%M:%S", time.localtime(event.stored_ms / 1000))
    stamp = f"{when}.{event.stored_ms % 1000:03d}  #{event.sequence:<8}"
    try:
        return Text.assemble((stamp, "dim"), _told(event))
    except BadMessage as error:
        return Text.assemble((stamp, "dim"), (f"{event.subject}: {error.message}", "red"))


def _told(event: Record) -> tuple[str, str]:
    kind = event.subject.rpartition(".")[0]
    if kind == "deliberation.opened":
        opened = codec.read(Opened, event.body, event.headers)
        return f"opened {opened.request.protocol} for {', '.join(s.id for s in opened.seats)}", ""
    if kind == "deliberation.round":
        following = codec.read(RoundOpened, event.body, event.headers)
        return f"round {following.round}: {following.stage} by {', '.join(following.seats)}", "bold"
    if kind == "agent.response":
        said = codec.read(AgentResponse, event.body, event.headers)
        if said.failure is not None:
            return f"{said.seat} failed in round {said.round}: {said.failure.code}", "red"
        return f"{said.seat} in round {said.round}: {text.one_line(said.content, 90)}", ""
    ended = codec.read(Deliberation, event.body, event.headers)
    return f"{ended.status}: {ended.winner_reason or ended.reason}", results.STYLE[ended.status]
