"""Our own foreign seat: it keeps its seat, finishes what it has in hand, and leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from actors.bus.nats_bus import connect
from actors.guests.guest import Guest
from actors.settings import BusSettings
from schemas.council import CouncilJoin
from schemas.errors import Refused
from subjects import names
from supervisor.actor import live
from tests.harness.engines import Gated, Refusing, Talking
from tests.harness.events import until, until_async
from tests.harness.system import System


@pytest.fixture
async def sit(nats_settings: BusSettings, council: System) -> AsyncIterator[Callable[..., Any]]:
    """Lets an engine take the seat `guest` of DEV until the end of the test."""
    del council
    sitting: list[tuple[Guest, Any]] = []

    async def sit(engine: Any, **fields: Any) -> Guest:
        bus = await connect(nats_settings, "guest")
        joining = CouncilJoin(**({"role": "DEV", "seat": "guest"} | fields))
        guest = Guest(bus, engine, joining, "guest")
        sitting.append((guest, bus))
        await guest.start()
        return guest

    yield sit
    for guest, bus in sitting:
        if guest._joined is not None:
            await guest.drain()
        await bus.close()


def registry_of(system: System) -> Any:
    return next(each for each, _ in system._running if "registry" in each.service.name)


async def test_it_answers_beside_the_others_and_is_seen(council: System, sit):
    await sit(Talking())
    result = await council.client.outcome((await council.client.ask()).task_id)
    assert "by guest" in {each.proposal.content for each in result.results}
    agents = await council.client.discovered("INFO", "conclave-agent")
    (info,) = [each["metadata"] for each in agents if each["metadata"]["pool"] == "guest"]
    assert (info["seats"], info["queues"]) == ("guest", "seat-3-DEV-guest")


@pytest.mark.usefixtures("council")
async def test_one_that_gets_no_seat_ends_with_the_reason(nats_settings: BusSettings):
    bus = await connect(nats_settings, "guest")
    guest = Guest(bus, Talking(), CouncilJoin(role="NOBODY", seat="guest"), "guest")
    with pytest.raises(Refused, match="no council NOBODY"):
        await live(guest, bus, asyncio.Event(), lambda: None)
    await bus.close()


async def test_it_takes_its_seat_again_when_it_was_taken_away(council: System, sit):
    await sit(Talking(), heartbeat_seconds=0.2)
    members = registry_of(council)._members
    (member,) = members._councils.get("DEV").members
    await members._lose("DEV", member, "seat_silent")

    async def back() -> bool:
        return "guest" in (await council.client.ask()).seats

    await until_async(back)
    result = await council.client.outcome((await council.client.ask()).task_id)
    assert "by guest" in {each.proposal.content for each in result.results}


async def test_it_keeps_its_seat_for_longer_than_three_heartbeats(council: System, sit):
    await sit(Talking(), heartbeat_seconds=0.2)
    beats = []
    await council.client.bus.listen(names.ANY_HEARTBEAT, beats.append)
    await until(lambda: len(beats) >= 8)
    assert "guest" in (await council.client.ask()).seats


async def test_what_it_has_in_hand_is_finished_before_it_leaves(council: System, sit):
    engine = Gated()
    guest = await sit(engine)
    task_id = (await council.client.ask()).task_id
    await until(lambda: engine.begun)
    draining = asyncio.create_task(guest.drain())
    await until(lambda: not guest.service._subscriptions)
    engine.gate.set()
    await draining
    result = await council.client.outcome(task_id)
    assert "by guest" in {each.proposal.content for each in result.results}
    assert "guest" not in (await council.client.ask()).seats


async def test_a_refusal_of_its_engine_is_its_failure(council: System, sit):
    await sit(Refusing("http_503"))
    result = await council.client.outcome((await council.client.ask()).task_id)
    assert {each.seat: each.code for each in result.failures} == {"guest": "http_503"}


async def test_a_taken_seat_is_refused_it(sit):
    with pytest.raises(Refused, match="is taken"):
        await sit(Talking(), seat="agent-dev-001")


async def test_it_cannot_go_on_without_its_council(council: System, sit):
    guest = await sit(Talking(), heartbeat_seconds=0.2)
    await council.client.call(names.COUNCIL_DELETE, {"role": "DEV"})
    await asyncio.wait_for(guest.failed.wait(), 20)
