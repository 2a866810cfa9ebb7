"""`conclave seat`: a command, a NATS service or a model endpoint takes a seat in a council."""

import logging
import os
from functools import partial
from typing import Annotated

import typer

from actors.bus import Bus
from actors.engines.engine import Engine
from actors.guests.command import CommandEngine
from actors.guests.guest import Guest
from actors.guests.openai import OpenAIEngine
from actors.guests.request_reply import RequestReplyEngine
from actors.synadia.engine import SynadiaEngine
from schemas import codec
from schemas.council import CouncilJoin
from schemas.errors import BadMessage, Refused
from supervisor import guest
from supervisor.cli import output
from supervisor.cli.options import Common, command
from supervisor.cli.session import bus_settings

app = typer.Typer()

KEY = "OPENAI_API_KEY"


@app.command()
@command
def seat(  # noqa: PLR0913, PLR0917 - the options of a command
    common: Common,
    role: Annotated[str, typer.Option(help="The council to sit in.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="What the seat is called.")],
    exec_: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="Run this for every request: prompt on stdin, answer on stdout.",
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="SUBJECT", help="Ask whoever replies on this NATS subject."),
    ] = None,
    openai: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=f"Ask the OpenAI-compatible endpoint there; its key is in ${KEY}.",
        ),
    ] = None,
    synadia: Annotated[
        str | None,
        typer.Option(
            metavar="AGENT",
            help="Ask this agent of the Synadia Agent Protocol: AGENT.OWNER.NAME, or its subject.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The endpoint's model; --openai only.")] = None,
    logprobs: Annotated[
        bool, typer.Option("--logprobs", help="Ask for log-probabilities; --openai only.")
    ] = False,
    persona: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the seat is told of itself.")
    ] = None,
    capability: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What it knows; once for each.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What it works in; once for each.")
    ] = None,
    concurrency: Annotated[int, typer.Option(help="Requests in hand at a time.")] = 1,
    heartbeat: Annotated[
        float, typer.Option(metavar="SECONDS", help="After three that are missed the seat is lost.")
    ] = 10.0,
    lease: Annotated[
        str | None,
        typer.Option(
            envvar="CONCLAVE_LEASE",
            metavar="SECRET",
            help="By which a seat is known again after a restart. [default: a new one]",
        ),
    ] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Make the council if there is none.")
    ] = False,
) -> int:
    """Hold a seat in a council until Ctrl-C, then give it up.

    For example:

    [bold]conclave seat --role DEV --name greybeard --exec 'llm -m my-model'[/]

    [bold]conclave seat --role DEV --name oracle --subject my.agent[/]

    [bold]conclave seat --role DEV --name gpt --openai http://127.0.0.1:8000/v1 --model my-model[/]

    [bold]conclave seat --role DEV --name coder --synadia claude-code.alice.billing[/]
    """
    if sum(each is not None for each in (exec_, subject, openai, synadia)) != 1:
        raise typer.BadParameter("give one of --exec, --subject, --openai and --synadia")
    if (openai is None) != (model is None):
        raise typer.BadParameter("--openai and --model go together")
    joining = _joining(
        role=role,
        seat=name,
        persona=persona,
        capabilities=capability or [],
        languages=language or [],
        max_concurrency=concurrency,
        heartbeat_seconds=heartbeat,
        lease=lease,
        create=create,
    )
    if openai is not None and model is not None:
        key = os.environ.get(KEY, "")
        make = partial(_openai, url=openai, model=model, key=key, logprobs=logprobs)
    else:
        make = partial(_plain, command_line=exec_, subject=subject, synadia=synadia)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    return guest.run(bus_settings(common), joining, make, partial(_told, common))


def _joining(**fields: object) -> CouncilJoin:
    """What is asked of the registry. Raises Refused, naming the option that is wrong."""
    try:
        return codec.decode(CouncilJoin, codec.encode(fields))
    except BadMessage as error:
        raise Refused("bad_request", error.message, error.path) from None


def _openai(bus: Bus, *, url: str, model: str, key: str, logprobs: bool) -> Engine:
    del bus
    return OpenAIEngine(url, model, key, logprobs=logprobs)


def _plain(
    bus: Bus, *, command_line: str | None, subject: str | None, synadia: str | None
) -> Engine:
    if command_line is not None:
        return CommandEngine(command_line)
    if synadia is not None:
        return SynadiaEngine(bus, synadia)
    return RequestReplyEngine(bus, subject or "")


def _told(common: Common, held: Guest) -> None:
    """Say that the seat is taken; its lease is a secret, and was given by who needs it."""
    joined = held.joined
    if common.json:
        output.document(joined)
    else:
        output.show(f"{joined.seat} sits in {joined.role}")
