"""One seat of three hands in a broken text: how often does it win?

Two seats are the bundled model; the third is an agent of its own queue, beside the system, whose
engine writes texts with one plain fault and ballots at random. Nobody is told. The tasks are
made of words that the model never saw.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from actors.agents.agent import Agent
from actors.bus.nats_bus import connect
from actors.engines.engine import Delta, Generated, Generation
from actors.engines.json_instance import json_instance
from actors.engines.models import BUNDLED_FOLDER, BUNDLED_NAME
from actors.settings import BusSettings, PoolSettings
from schemas.council import Sampling, Seat
from schemas.result import Deliberation
from supervisor.up import running
from tests.bench.council import ROLE, Council
from tests.bench.measuring import Bar, Options, Result, whole
from tests.bench.wilson import interval

COUNT = 200
AT_ONCE = 8
LIMIT = 0.05
BROKEN = "seat-broken"
FAULTS = ("off topic", "repeats", "garbled", "cut off", "echo")
SEATS = (
    Seat(id="seat-01", persona="engineer who starts with the smallest step"),
    Seat(id="seat-02", persona="engineer who asks what can fail"),
    Seat(id=BROKEN, persona="engineer", queue="broken"),
)


class Planted(Struct, frozen=True):
    """A task, and the text that the broken seat will hand in for it."""

    text: str
    fault: str
    broken: str


class Faulty:
    """An engine that writes what was planted for the task, and votes without reading."""

    name = "planted"
    model = "planted"

    def __init__(self, planted: list[Planted]) -> None:
        self._planted = planted

    async def generate(self, generation: Generation) -> AsyncIterator[Delta | Generated]:
        """Write the planted text, or any ballot that obeys the schema."""
        prompt = generation.messages[-1].content
        if generation.response_schema is not None:
            draw = random.Random(f"{generation.request_id}")
            text = json.dumps(json_instance(generation.response_schema, draw, ("x",)))
        else:
            text = next(each.broken for each in self._planted if each.text in prompt)
        yield Generated(content=text)

    async def check(self) -> None:
        """Return: there is nothing that could die."""

    def aborted(self) -> int:
        """Return 0: nothing is generated long enough to be given up."""
        return 0

    async def close(self) -> None:
        """Do nothing: nothing is held."""


async def measure(options: Options) -> Result:
    """Let the council deliberate in `ranked`, and see who wins."""
    planted = list(_planted(20 if options.quick else COUNT))
    room = asyncio.Semaphore(AT_ONCE)
    pool = PoolSettings(model=BUNDLED_NAME, queues=(ROLE,))
    async with (
        running(whole(pool)) as system,
        _agent(system.nats, planted),
        Council(system.nats, seats=SEATS) as council,
    ):

        async def ask(number: int, each: Planted) -> Deliberation:
            async with room:
                return await council.deliberate(
                    each.text, sampling=Sampling(max_tokens=96, seed=1_000 * number)
                )

        ended = await asyncio.gather(*(ask(*each) for each in enumerate(planted)))
    return _result(planted, ended)


@asynccontextmanager
async def _agent(nats: BusSettings, planted: list[Planted]) -> AsyncIterator[None]:
    settings = PoolSettings(queues=("broken",))
    bus = await connect(nats, "broken seat")
    agent = Agent(bus, Faulty(planted), pool="broken", settings=settings, instance="broken-1")
    await agent.start()
    try:
        yield
    finally:
        await agent.drain()
        await bus.close()


def _planted(count: int) -> Iterator[Planted]:
    """Held-out tasks, each fault equally often."""
    sys.path.insert(0, str(BUNDLED_FOLDER.parent))
    from corpus import peers
    from corpus.tasks import make_task
    from corpus.words import Lexicon

    lexicon, draw = Lexicon("held"), random.Random("bench:broken seat")
    seen: set[str] = set()
    while len(seen) < count:
        task, fault = make_task(lexicon, draw, plain=True), FAULTS[len(seen) % len(FAULTS)]
        if not any(task.text in other or other in task.text for other in seen):
            seen.add(task.text)
            yield Planted(task.text, fault, peers.faulty(task, fault, lexicon, draw))


def _result(planted: list[Planted], ended: list[Deliberation]) -> Result:
    heard = [BROKEN in {row.proposal.author_id for row in over.results} for over in ended]
    if not all(heard):
        raise RuntimeError(f"the broken seat was not heard in {heard.count(False)} of {len(ended)}")
    wins, of, last = Counter[str](), Counter[str](), Counter[str]()
    for each, over in zip(planted, ended, strict=True):
        for name in (each.fault, "all"):
            of[name] += 1
            wins[name] += over.winner_id == BROKEN
            last[name] += over.results[-1].proposal.author_id == BROKEN
    rows = [_row(name, wins[name], last[name], of[name]) for name in (*FAULTS, "all")]
    return Result(
        bench="broken_seat",
        question=(__doc__ or "").partition("\n")[0],
        rows=rows,
        bars=(
            Bar(text="share won by the broken text", value=wins["all"] / of["all"], limit=LIMIT),
        ),
        notes=("Chance is one third. Two honest ballots; the broken seat's own is random.",),
    )


def _row(fault: str, wins: int, last: int, of: int) -> dict[str, Any]:
    low, high = interval(wins, of)
    return {
        "fault": fault,
        "deliberations": of,
        "won": wins,
        "share": round(wins / of, 3),
        "from": round(low, 3),
        "to": round(high, 3),
        "ranked_last": round(last / of, 3),
    }
