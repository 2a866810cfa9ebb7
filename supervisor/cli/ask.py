"""`conclave ask`: a question to a council, and its answer as it comes into being."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.asking import new_task_id
from schemas import codec
from schemas.council import Sampling
from schemas.deliberation import (
    Accepted,
    Constraints,
    CountingRule,
    DeliberationRequest,
    ProtocolName,
)
from schemas.errors import BadMessage, Refused
from schemas.result import Deliberation
from supervisor.cli import errors, live, output, results
from supervisor.cli.board import CouncilView
from supervisor.cli.files import read_bytes, read_text
from supervisor.cli.options import Common, command
from supervisor.cli.session import connected

app = typer.Typer()


@app.command()
@command
def ask(  # noqa: PLR0913, PLR0917 - one for each option
    common: Common,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The task; - reads it from stdin.")],
    role: Annotated[
        str,
        typer.Option("--role", "-r", help="Council: DEV, QA, ARCHITECT, DEVOPS, DATA, or yours."),
    ] = "DEV",
    agents: Annotated[
        int | None, typer.Option("--agents", "-n", min=1, help="How many seats. [default: all]")
    ] = None,
    context_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Material for the task."),
    ] = None,
    context_text: Annotated[str, typer.Option(metavar="TEXT", help="The same, given here.")] = "",
    protocol: Annotated[
        ProtocolName, typer.Option("--protocol", "-p", help="How the council deliberates.")
    ] = "ranked",
    rounds: Annotated[
        int, typer.Option(min=1, max=8, help="Of critique and revision; revised only.")
    ] = 1,
    counting: Annotated[CountingRule, typer.Option(help="How ballots are counted.")] = "borda",
    quorum: Annotated[
        int | None, typer.Option(min=1, help="Answers that a round needs. [default: all]")
    ] = None,
    grace_ms: Annotated[int, typer.Option(min=0, help="Patience after the quorum.")] = 0,
    closed: Annotated[
        bool, typer.Option("--closed", help="One short value is wanted, on an `answer:` line.")
    ] = False,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Most answers drawn by vote. [default: 5 a seat]")
    ] = None,
    requirement: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="What an answer must respect; may be repeated."),
    ] = None,
    rubric: Annotated[str, typer.Option(metavar="TEXT", help="How answers shall be judged.")] = "",
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON Schema of an answer."),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer of a seat.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2)] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the drawing repeatable.")] = None,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="Lower runs first.")] = 0,
    timeout_seconds: Annotated[
        float, typer.Option(min=0.001, max=3600, help="Deadline of the whole deliberation.")
    ] = 300.0,
    task_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Your own: asking again gets the same answer.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Watch until the outcome, or only submit.")
    ] = True,
    submit: Annotated[
        bool,
        typer.Option("--submit", help="Only store it, for whenever somebody is there; no waiting."),
    ] = False,
) -> int:
    """Ask a council and watch it answer.

    With --no-wait only the task_id is printed once the request is stored; with --submit too, and
    nothing but NATS need be running: what is wrong with it is told by its outcome. With --json the
    acknowledgement is the first document and the outcome the second. Exit code 0 if the
    deliberation COMPLETED, 1 if it FAILED or was CANCELLED, 3 if it ended as TIMEOUT.

    For example:

    [bold]conclave ask "Name three risks of this" --role ARCHITECT --context-file plan.md[/]

    [bold]id=$(conclave ask "…" --role QA --agents 1 --no-wait); conclave wait $id[/]

    [bold]conclave ask "What is 17 * 3?" --protocol vote[/]

    [bold]git diff | conclave ask - --role DEV --requirement "at most five points" --json[/]
    """
    request = DeliberationRequest(
        task_description=read_text(Path("-")) if text == "-" else text,
        role=role,
        task_id=task_id or new_task_id(),
        num_agents=agents,
        constraints=Constraints(
            rubric=rubric, requirements=tuple(requirement or ()), timeout_seconds=timeout_seconds
        ),
        protocol=protocol,
        rounds=rounds,
        counting=counting,
        quorum=quorum,
        grace_ms=grace_ms,
        closed=closed,
        samples=samples,
        priority=priority,
        sampling=Sampling(temperature=temperature, max_tokens=max_tokens, seed=seed),
        response_schema=_schema(schema),
        context=read_text(context_file) if context_file else context_text,
    )
    if submit:
        return asyncio.run(_submit(common, request))
    return asyncio.run(_ask(common, request, wait=wait))


def _schema(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        return codec.decode(dict[str, Any], read_bytes(file))
    except BadMessage as error:
        raise Refused(error.code, f"{file}: {error.message}", error.path) from None


async def _submit(common: Common, request: DeliberationRequest) -> int:
    task_id = request.task_id or new_task_id()
    async with connected(common) as client:
        sequence = await client.hand_in(task_id, request)
    if common.json:
        output.document({"task_id": task_id, "sequence": sequence})
    else:
        output.show(task_id)
        errors.say(f"conclave: stored as #{sequence}; conclave wait {task_id}")
    return errors.OK


async def _ask(common: Common, request: DeliberationRequest, *, wait: bool) -> int:
    async with connected(common) as client:
        if not wait:
            _tell_accepted(common, await client.submit(request))
            return errors.OK
        council = CouncilView(role=request.role, task=request.task_description)
        try:
            if common.json:
                outcome = await live.deliberate(client, request, council, _documents)
            else:
                async with live.showing(output.console(), [council]) as view:
                    outcome = await live.deliberate(client, request, council, view)
        except asyncio.CancelledError:
            _tell_interrupted(council)
            raise
    _tell_outcome(common, outcome)
    return errors.exit_code_for(outcome.status)


def _documents(council: CouncilView, event: object) -> None:
    if event is None and council.accepted is not None:
        output.document(council.accepted)


def _tell_accepted(common: Common, accepted: Accepted) -> None:
    if common.json:
        output.document(accepted)
        return
    output.show(accepted.task_id)
    errors.say(f"conclave: accepted for {', '.join(accepted.seats)}")


def _tell_interrupted(council: CouncilView) -> None:
    if council.accepted is not None:
        task_id = council.accepted.task_id
        errors.say(
            f"conclave: {task_id} goes on; conclave wait {task_id} or conclave cancel {task_id}"
        )


def _tell_outcome(common: Common, outcome: Deliberation) -> None:
    if common.json:
        output.document(outcome)
    else:
        output.show(results.deliberation(outcome))
