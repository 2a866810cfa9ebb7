"""How a vote looks to people: who voted how, labels resolved, and the count."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from schemas.result import Deliberation
from supervisor.cli import text
from supervisor.cli.tables import plain_table


def vote(known: Deliberation) -> Iterator[RenderableType]:
    """Yield the parts there are: ballots of an election, tally of closed answers, the stages."""
    if known.ballots:
        yield Group(_ballots(known), "")
    if known.tally:
        yield Group(_tally(known), "")
    if len(known.stages) > 1:
        yield Group(_stages(known), "")


def _ballots(known: Deliberation) -> RenderableType:
    table = plain_table()
    table.add_column("voter", no_wrap=True)
    table.add_column("ballot, best first")
    table.add_column("approved")
    for ballot in known.ballots:
        if ballot.abstained:
            table.add_row(
                ballot.voter, Text(f"abstained: {text.plain(ballot.abstained)}", "yellow")
            )
        else:
            ranking = " > ".join(map(_name, ballot.ranking))
            table.add_row(ballot.voter, ranking, ", ".join(map(_name, ballot.approved)) or "none")
    return Group(Text(f"{known.counting} over {len(known.ballots)} ballots", "dim"), table)


def _name(candidate: str) -> str:
    """Return the author, with the round when it is not the first proposal."""
    author, _, round_number = candidate.partition("#")
    return author if round_number == "0" else f"{author} (round {round_number})"


def _tally(known: Deliberation) -> RenderableType:
    table = plain_table()
    table.add_column("answer")
    table.add_column("votes", justify="right")
    table.add_column("weight", justify="right")
    for row in known.tally:
        table.add_row(text.one_line(row.answer, 60), str(row.votes), f"{row.weight:.2f}")
    return table


def _stages(known: Deliberation) -> RenderableType:
    table = plain_table()
    for name in ("round", "stage", "answered", "tokens p/cached/c", "took"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for stage in known.stages:
        table.add_row(
            str(stage.round),
            stage.stage,
            f"{stage.answered} of {stage.asked}",
            text.tokens(stage.usage),
            text.duration(stage.duration_ms),
        )
    return table
