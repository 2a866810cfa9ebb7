"""The demonstration: one real deliberation per role, concurrently, then what more seats cost.

Nothing here is staged: requests go over plain NATS, as any program would send them.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from actors.asking import new_task_id
from schemas.agent import Usage
from schemas.council import Sampling
from schemas.deliberation import Constraints, DeliberationRequest
from schemas.result import Deliberation
from supervisor.cli.board import CouncilView, SeatView
from supervisor.cli.live import View, deliberate
from supervisor.client import Client

TASKS: Mapping[str, str] = {
    "DEV": (
        "A payment webhook may arrive twice or out of order. Describe how the handler stays"
        " correct, and the one test you would write first."
    ),
    "QA": (
        "A file upload accepts CSV from customers. Name the five inputs most likely to break it,"
        " worst first, and how each is checked."
    ),
    "ARCHITECT": (
        "Orders and stock live in one database that no longer scales. Where would you draw the"
        " boundary between two services, and what must stay in one transaction?"
    ),
    "DEVOPS": (
        "A deployment made half of all requests fail, and the rollback failed too. What are the"
        " first three steps, and what prevents a repetition?"
    ),
    "DATA": (
        "Daily active users fell by 8 % overnight with no release. How do you find out within an"
        " hour whether it is real or a defect in the pipeline?"
    ),
}
"""What is asked when the user brings no task: questions a team of that role gets."""

REPEATS = 3
"""Runs of which the median is taken."""


class Scaling(Struct, frozen=True):
    """How long three seats take beside one: the same task and the same longest answer."""

    role: str
    one_ms: float
    many_ms: float
    seats: int
    one_usage: Usage
    many_usage: Usage

    @property
    def ratio(self) -> float:
        """T(N)/T(1): 1 when further seats cost no time at all."""
        return self.many_ms / self.one_ms if self.one_ms else 0.0


def request(role: str, task: str, max_tokens: int, seats: int | None = None) -> DeliberationRequest:
    """Return a request as a client would write it, under an id of our own."""
    return DeliberationRequest(
        task_description=task,
        role=role,
        task_id=new_task_id(),
        num_agents=seats,
        constraints=Constraints(timeout_seconds=600.0),
        sampling=Sampling(max_tokens=max_tokens),
    )


async def views(
    client: Client, tasks: Mapping[str, str], seats: int | None = None
) -> Sequence[CouncilView]:
    """Return an empty view for each council to be asked, seats and personas filled in."""
    return [
        CouncilView(
            role=role,
            task=task,
            seats={
                seat.id: SeatView(seat=seat.id, persona=seat.persona)
                for seat in (await client.council(role)).seats[:seats]
            },
        )
        for role, task in tasks.items()
    ]


async def ask_all(
    client: Client,
    councils: Sequence[CouncilView],
    view: View,
    *,
    max_tokens: int,
    seats: int | None = None,
) -> Sequence[Deliberation]:
    """Ask every council at once; return the outcomes in the councils' order."""

    async def ask(council: CouncilView) -> Deliberation:
        asked = request(council.role, council.task, max_tokens, seats)
        return await deliberate(client, asked, council, view)

    try:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(ask(council)) for council in councils]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in asking]


async def scaling(client: Client, role: str, task: str, max_tokens: int, seats: int) -> Scaling:
    """Measure T(N)/T(1), one deliberation after the other, on a system that is warm.

    One round of proposals, since one seat alone holds no vote. The client's clock counts: from
    the request to the outcome's event.
    """
    one, all_seats = (
        replace(request(role, task, max_tokens, count), protocol="independent", task_id=None)
        for count in (1, seats)
    )
    ones = [await _timed(client, one) for _ in range(REPEATS)]
    many = [await _timed(client, all_seats) for _ in range(REPEATS)]
    return Scaling(
        role=role,
        one_ms=statistics.median(ms for ms, _ in ones),
        many_ms=statistics.median(ms for ms, _ in many),
        seats=seats,
        one_usage=ones[-1][1].usage,
        many_usage=many[-1][1].usage,
    )


async def _timed(client: Client, asked: DeliberationRequest) -> tuple[float, Deliberation]:
    asked = replace(asked, task_id=new_task_id())
    began = time.perf_counter()
    outcome = await deliberate(
        client, asked, CouncilView(role=asked.role, task=asked.task_description), _unseen
    )
    return (time.perf_counter() - began) * 1_000, outcome


def _unseen(council: CouncilView, event: object) -> None:
    del council, event
