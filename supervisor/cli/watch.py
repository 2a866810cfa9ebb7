"""`conclave watch`: every live event of the system, as it passes by."""

import asyncio
import time
from typing import Annotated

import typer
from rich.text import Text

from actors.bus import Message
from schemas.progress import SeatAnswered, SeatFailed, SeatStarted, TextDelta
from schemas.result import Deliberation
from subjects import names
from supervisor.cli import errors, output, results, text
from supervisor.cli.options import Common, command
from supervisor.cli.session import connected
from supervisor.client import Event, event_in

app = typer.Typer()


@app.command()
@command
def watch(
    common: Common,
    task_id: Annotated[
        str | None, typer.Argument(metavar="[TASK_ID]", help="Only this deliberation.")
    ] = None,
    words: Annotated[bool, typer.Option("--text", help="The text too, piece by piece.")] = False,
) -> int:
    """Show every event live until Ctrl-C: seats started, answered, failed, and outcomes.

    With --json every event is printed, pieces of text included.

    For example: [bold]conclave watch --json | jq -c 'select(.winner_id)'[/]
    """
    asyncio.run(_follow(common, task_id or "", words=words))
    return errors.OK


async def _follow(common: Common, task_id: str, *, words: bool) -> None:
    out = output.console()
    arrived: asyncio.Queue[Message] = asyncio.Queue()

    async def take(message: Message) -> None:
        arrived.put_nowait(message)

    progress = names.progress(task_id) if task_id else names.ANY_PROGRESS
    async with connected(common) as client:
        for subject in (progress, *names.PUBLIC_OUTCOMES):
            await client.bus.serve(subject, take)
        errors.say("conclave: watching; Ctrl-C ends it")
        while True:
            message = await arrived.get()
            event = event_in(message, task_id)
            if event is None:
                continue
            if common.json:
                output.line(message.body)
            elif words or not isinstance(event, TextDelta):
                out.print(_line(event))


def _line(event: Event) -> Text:
    when = (time.strftime("%H:%M:%S "), "dim")
    match event:
        case SeatStarted():
            what = (f"{event.seat} began to {event.stage} on {text.plain(event.model)}", "")
        case TextDelta():
            what = (f"{event.seat} {text.one_line(event.text, 200)}", "dim")
        case SeatAnswered():
            what = (f"{event.seat} answered, {event.usage.completion_tokens} tokens", "green")
        case SeatFailed():
            failure = event.failure
            what = (f"{event.seat} failed: {failure.code} {text.plain(failure.message)}", "red")
        case Deliberation():
            winner = f", {event.winner_id} won" if event.winner_id else ""
            took = text.duration(event.duration_ms)
            what = (f"{event.role} {event.status} in {took}{winner}", results.STYLE[event.status])
    return Text.assemble(when, (f"{event.task_id}  ", "dim"), what)
