"""What the simulation once found, each told by itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from actors.bus.nats_bus import NatsBus
from schemas.codec import decode
from schemas.result import Deliberation
from subjects import names
from tests.simulation.client import simulated_bus
from tests.simulation.leftovers import look_for_leftovers, sweep, watched
from tests.simulation.patches import simulated
from tests.simulation.weather import CALM
from tests.simulation.world import World

REQUEST = {
    "task_description": "How should the billing client retry?",
    "role": "DEV",
    "task_id": "t-1",
    "protocol": "independent",
    "constraints": {"timeout_seconds": 30},
}

STARTING_S = 3.0

Course = Callable[[World, NatsBus], Awaitable[None]]


def in_a_calm_world(course: Course, **moods: float) -> World:
    """Run a course of events with nothing wrong but what it does itself."""
    world = World(0)
    plan = world.plan
    plan.weather = world.network.weather = CALM
    plan.moods = moods or {"quick": 1.0}
    plan.agents, plan.standby, plan.remembers_ids = 1, False, True

    async def whole() -> None:
        await world.begin()
        await asyncio.sleep(STARTING_S)
        bus = await simulated_bus(world.network, "client")
        await course(world, bus)
        await bus.close()
        await world.end()

    with simulated(), watched(world):
        try:
            world.loop.run_until_complete(whole())
            look_for_leftovers(world)
        finally:
            sweep(world.loop)
    assert not world.violations
    return world


async def asked(bus: NatsBus, subject: str, body: Any) -> Any:
    reply = await bus.request(subject, json.dumps(body).encode(), timeout_s=30.0)
    return json.loads(reply.body)


def lose_the_first_receipt(world: World, prefix: str) -> list[str]:
    """Let the stream's receipt for the first message below `prefix` get lost."""
    server, lost = world.network.server, []
    store = server._store

    def forgetful(stream: Any, subject: str, body: bytes, headers: Any, reply: str) -> None:
        if subject.startswith(prefix) and not lost:
            lost.append(subject)
            reply = ""
        store(stream, subject, body, headers, reply)

    server._store = forgetful
    return lost


def test_a_request_whose_receipt_was_lost_is_no_duplicate():
    async def course(world: World, bus: NatsBus) -> None:
        lost = lose_the_first_receipt(world, "deliberation.opened.")
        accepted = await asked(bus, names.REQUEST, REQUEST)
        assert accepted["duplicate"] is False
        assert (await asked(bus, names.REQUEST, REQUEST))["duplicate"] is True
        assert lost

    in_a_calm_world(course)


def test_a_cancel_whose_receipt_was_lost_is_told_that_it_cancelled():
    async def course(world: World, bus: NatsBus) -> None:
        lost = lose_the_first_receipt(world, "deliberation.outcome.")
        await asked(bus, names.REQUEST, REQUEST)
        assert (await asked(bus, names.CANCEL, {"task_id": "t-1"}))["status"] == "CANCELLED"
        second = await asked(bus, names.CANCEL, {"task_id": "t-1"})
        assert second["error"]["code"] == "already_over"
        assert lost

    in_a_calm_world(course, straggling=1.0)


def test_a_second_opening_by_a_stranger_changes_nothing():
    """The seats' answers before it still count, so nobody waits for the deadline."""
    world = in_a_calm_world(_opened_twice)
    (end,) = (each for each in world.ledger.by_task["t-1"] if ".outcome." in each.subject)
    ended = decode(Deliberation, end.body)
    assert (ended.status, len(ended.results)) == ("COMPLETED", 3)


async def _opened_twice(world: World, bus: NatsBus) -> None:
    await asked(bus, names.REQUEST, REQUEST)
    told = world.ledger.by_task["t-1"]
    async with asyncio.timeout(10):
        while not any(each.subject.startswith("agent.response.") for each in told):
            await asyncio.sleep(0.001)
    await bus.publish(told[0].subject, told[0].body, {"Intruder": "yes"})
    await asked(bus, names.WAIT, {"task_id": "t-1", "timeout_seconds": 25})
