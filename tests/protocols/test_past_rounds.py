"""A seat is cut short when its round is past by what is stored, not by what is published."""

import asyncio

import pytest

from actors.agents import rounds
from actors.agents.floor import Floor
from actors.agents.rounds import Rounds
from actors.bus import Unavailable
from actors.bus.jetstream import EXPECTED_LAST
from schemas.codec import encode
from schemas.deliberation import RoundOpened
from schemas.version import SCHEMA_HEADERS
from subjects import names
from tests.harness.engines import Gated
from tests.harness.events import until
from tests.harness.system import System

TASK = "t-1"


async def test_a_round_that_the_stream_refuses_cuts_nobody_short(system: System):
    await system.core()
    engine = Gated()
    await system.agent(engine)
    accepted = await system.client.ask(protocol="independent")
    await until(lambda: len(engine.begun) == 3)
    opened = RoundOpened(
        task_id=accepted.task_id,
        round=1,
        stage="answer",
        seats=tuple(accepted.seats),
        heard=0,
        opened_at_ms=1,
    )
    await system.client.bus.publish(
        names.round_opened(accepted.task_id),
        encode(opened),
        headers={**SCHEMA_HEADERS, EXPECTED_LAST: "99999"},
    )
    await system.client.bus.request("$SRV.PING.conclave-agent", b"")  # sent later, heard later
    engine.gate.set()
    result = await system.client.outcome(accepted.task_id)
    assert len(result.results) == 3
    assert engine.aborted() == 0


class Stored:
    """A stream that tells these rounds, one look after the other."""

    def __init__(self, *found: int | Exception) -> None:
        self.left = list(found)

    async def __call__(self, task_id: str) -> int:
        assert task_id == TASK
        found = self.left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


async def test_the_stream_is_asked_only_about_a_round_that_is_said_to_be_past():
    floor = Floor()
    assert not await Rounds(floor, Stored()).is_past(TASK, 0)
    floor.announce(TASK, 1)
    assert not await Rounds(floor, Stored(0)).is_past(TASK, 0)
    assert await Rounds(floor, Stored(1)).is_past(TASK, 0)
    assert await Rounds(floor, Stored()).is_past(TASK, 0)  # known by now


@pytest.mark.parametrize("first", [0, Unavailable("no leader")])
async def test_a_round_that_is_stored_a_little_later_is_looked_for_again(first, monkeypatch):
    monkeypatch.setattr(rounds, "LOOKS_AFTER_S", (0.0, 0.01))
    floor = Floor()
    speaking = asyncio.create_task(floor.give(TASK, 0, asyncio.sleep(60)))
    await asyncio.sleep(0)
    assert floor.announce(TASK, 1)
    await Rounds(floor, Stored(first, 1)).close(TASK, 1)
    assert await speaking is None


async def test_a_turn_of_the_round_that_begins_is_not_cut_short():
    floor = Floor()
    speaking = asyncio.create_task(floor.give(TASK, 1, asyncio.sleep(0, "said")))
    await asyncio.sleep(0)
    assert not floor.announce(TASK, 1)
    assert await speaking == "said"
