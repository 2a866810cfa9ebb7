"""A second collector does no harm, hardly any work in vain, and takes over."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from actors.bus import Conflict, Record, Stored
from actors.bus.nats_bus import NatsBus, connect
from actors.clock import now_ms
from actors.councils.defaults import default_councils
from actors.deliberations.collector import Collector
from schemas.agent import AgentResponse
from schemas.codec import encode
from schemas.deliberation import DeliberationRequest, Opened, RoundOpened
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.actors.running import started
from tests.harness.system import System

REQUEST = DeliberationRequest(
    task_description="Add retries", role="DEV", num_agents=1, protocol="synthesized"
)

Follow = Callable[..., AsyncGenerator[Record | None, None]]


def stalled(follow: Follow, records: int) -> Follow:
    """Follow so that the first records come in one go, as after a stall; the rest as they come."""

    async def follow_in_bursts(*args: Any, **options: Any) -> AsyncGenerator[Record | None, None]:
        held: list[Record] = []
        awaited = records
        async with aclosing(follow(*args, **options)) as following:
            async for record in following:
                if record is None:
                    yield None
                    continue
                held.append(record)
                if len(held) >= awaited:
                    for each in held:
                        yield each
                    held, awaited = [], 1

    return follow_in_bursts


async def test_a_round_that_another_opened_meanwhile_is_not_opened_again(
    system: System, monkeypatch
):
    """The answers that call for a round and the round itself are read before anything is done."""
    bus = await connect(system.settings, "collector")
    monkeypatch.setattr(bus, "follow", stalled(bus.follow, 3))
    await system._start(Collector(bus, "collector-2"), bus)
    seat = default_councils()[0].seats[0]
    now = now_ms()
    opened = Opened(
        task_id="t-1", request=REQUEST, seats=(seat,), opened_at_ms=now, deadline_ms=now + 30_000
    )
    proposal, synthesis = (
        AgentResponse(task_id="t-1", round=number, seat=seat.id, content="keep a ledger")
        for number in (0, 1)
    )
    second = RoundOpened(
        task_id="t-1", round=1, stage="synthesize", seats=(seat.id,), heard=1, opened_at_ms=now
    )
    store = system.client.bus.store
    await store(names.opened("t-1"), encode(opened))
    await store(names.agent_response("t-1"), encode(proposal))
    await store(names.round_opened("t-1"), encode(second))
    await store(names.agent_response("t-1"), encode(synthesis))
    assert (await system.client.outcome("t-1")).status == "COMPLETED"
    rounds = await system.client.bus.scan(DELIBERATIONS, names.round_opened("t-1"))
    assert [each.body for each in rounds] == [encode(second)]


class Attempts:
    """Counts what a collector stores, and how often another was first."""

    def __init__(self, bus: NatsBus) -> None:
        self.made = self.lost = 0
        self._store = bus.store

    async def store(self, *args: Any, **options: Any) -> Stored:
        self.made += 1
        try:
            return await self._store(*args, **options)
        except Conflict:
            self.lost += 1
            raise


async def test_of_two_collectors_one_lets_the_other_decide_until_that_is_gone(
    system: System, monkeypatch
):
    await system.core()
    await system.agent()
    first = await started(system, "collector")
    second = await system.add("collector", "collector-2")
    attempts = {}
    for each in (first, second):
        attempts[each] = Attempts(each._bus)
        monkeypatch.setattr(each._bus, "store", attempts[each].store)
    for _ in range(50):
        await system.client.outcome((await system.client.ask()).task_id)
    lost = sum(each.lost for each in attempts.values())
    assert lost < 25  # without that it is each of the 50
    active = max(attempts, key=lambda each: attempts[each].made - attempts[each].lost)
    await system.crash(active)
    (other,) = attempts.keys() - {active}
    before = attempts[other].made
    for _ in range(3):
        assert (await system.client.outcome((await system.client.ask()).task_id)).heard == 3
    assert attempts[other].made == before + 3
