"""Every actor is found by what any NATS tool asks: `$SRV.PING`, `INFO` and `STATS`."""

import asyncio

import pytest

from actors import __version__
from actors.bus import Message
from actors.service import Service
from schemas.contract.endpoints import ENDPOINTS
from schemas.deliberation import StatsQuery
from subjects import names
from tests.harness.engines import SECRET, Gated
from tests.harness.events import until
from tests.harness.system import Reply, System

SERVICES = {
    "conclave-agent",
    "conclave-collector",
    "conclave-dead-letters",
    "conclave-dispatcher",
    "conclave-registry",
    "conclave-responder",
}
SUBJECTS = {
    service: {each.subject for each in ENDPOINTS if each.service == service and each.shared}
    for service in sorted({each.service for each in ENDPOINTS})
}
"""As the contract has them."""


@pytest.mark.parametrize("verb", ["PING", "INFO", "STATS"])
async def test_all_kinds_of_actors_are_found(council: System, verb: str):
    found = await council.client.discovered(verb)
    assert {each["name"] for each in found} == SERVICES
    assert {each["version"] for each in found} == {__version__}
    kinds = {each["type"] for each in found}
    assert kinds == {f"io.nats.micro.v1.{verb.lower()}_response"}


async def test_one_kind_and_one_instance_can_be_asked(council: System):
    await council.agent(instance="agent-2")
    of_kind = await council.client.discovered("PING", "conclave-agent")
    one = await council.client.discovered("PING", "conclave-agent.agent-2")
    assert {each["id"] for each in of_kind} == {"agent-1", "agent-2"}
    assert [each["id"] for each in one] == ["agent-2"]


@pytest.mark.parametrize("name", SUBJECTS)
async def test_endpoints_are_listed_with_their_group(council: System, name: str):
    (info,) = await council.client.discovered("INFO", name)
    assert {each["subject"] for each in info["endpoints"]} == SUBJECTS[name]
    assert {each["queue_group"] for each in info["endpoints"]} == {name}
    assert info["description"]


async def test_an_agent_tells_what_it_serves_with_what(system: System):
    engine = Gated()
    await system.core()
    await system.agent(engine, queues=("DEV",), max_concurrency=4)
    await system.client.ask(num_agents=1)
    await until(lambda: engine.begun)
    (info,) = await system.client.discovered("INFO", "conclave-agent")
    told = info["metadata"]
    assert (told["pool"], told["queues"], told["slots"]) == ("default", "DEV", "4")
    assert (told["engine"], told["model"], told["free_slots"]) == ("talking", "talking-1", "3")
    assert told["seats"] == "agent-dev-001,agent-dev-002,agent-dev-003"
    engine.gate.set()


async def test_requests_are_counted_with_the_time_they_took(council: System):
    for _ in range(3):
        await council.client.call(names.COUNCIL_GET, {"role": "DEV"})
    (stats,) = await council.client.discovered("STATS", "conclave-registry")
    endpoint = next(each for each in stats["endpoints"] if each["subject"] == names.COUNCIL_GET)
    assert (endpoint["num_requests"], endpoint["num_errors"]) == (3, 0)
    assert endpoint["average_processing_time"] > 0
    assert endpoint["processing_time"] >= 3 * endpoint["average_processing_time"]


async def test_who_has_left_is_found_no_more(council: System):
    agent = await council.agent(instance="agent-2")
    await council.stop(agent)
    found = await council.client.discovered("PING", "conclave-agent")
    assert [each["id"] for each in found] == ["agent-1"]


async def test_a_handler_that_fails_tells_nobody_why(system: System):
    async def fail(_: StatsQuery) -> None:
        raise RuntimeError(SECRET)

    service = Service(system.client.bus, "broken", "broken-1", "fails")
    service.endpoint("broken", StatsQuery, fail)
    await service.start()
    reply = await system.client.call("broken")
    assert reply.code == "internal"
    assert SECRET not in str(reply.headers) + str(reply.body)
    assert SECRET not in str(await system.client.discovered("STATS", "broken"))


async def test_draining_answers_what_was_received(system: System):
    begun = asyncio.Barrier(4)

    async def slow(_: StatsQuery) -> dict[str, str]:
        await begun.wait()
        await asyncio.sleep(0.05)
        return {"done": "yes"}

    service = Service(system.client.bus, "slow", "slow-1", "is slow")
    service.endpoint("slow", StatsQuery, slow)
    await service.start()
    calls = [asyncio.ensure_future(system.client.call("slow")) for _ in range(3)]
    await begun.wait()
    await service.drain()
    replies: list[Reply] = await asyncio.gather(*calls)
    assert [each.body for each in replies] == [{"done": "yes"}] * 3


async def test_a_ping_nobody_waits_for_is_harmless(council: System):
    heard: list[Message] = []
    await council.client.bus.publish("$SRV.PING", b"")
    assert len(await council.client.discovered("PING")) == len(SERVICES)
    assert heard == []
