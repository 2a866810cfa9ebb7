"""Fifty hostile seats: what others deliberate comes out as if they were not there."""

import asyncio
import json
from typing import Any

import pytest

from schemas.result import Deliberation
from subjects import names
from tests.harness.engines import Gated
from tests.harness.events import until, until_async
from tests.harness.system import System
from tests.seats.conftest import has_spoken, says
from tests.seats.hostile import KINDS, Hostile

ROLES = ("DEV", "QA")
EACH = 10


async def deliberated(system: System) -> dict[str, Deliberation]:
    """What comes of the same deliberations, asked under the same ids, so with the same seeds."""
    asked = [
        system.client.ask(
            ROLES[number % 2],
            task_id=f"task-{number}",
            protocol=protocol,
            task_description=f"How would you retry payment number {number}?",
        )
        for number, protocol in enumerate(["independent", "ranked"] * EACH)
    ]
    await asyncio.gather(*asked)
    return {
        f"task-{number}": await system.client.outcome(f"task-{number}")
        for number in range(2 * EACH)
    }


def substance(result: Deliberation) -> dict[str, Any]:
    """What a result says, without times, and without what an early end leaves to chance."""
    said: dict[str, Any] = {
        "status": result.status,
        "seats": result.seats,
        "winner": result.winner_id,
        "texts": {each.proposal.author_id: each.proposal.content for each in result.results},
        "degraded": result.degraded,
        "failures": {each.seat for each in result.failures if each.code != "not_needed"},
    }
    if result.protocol == "independent":
        said["scores"] = [each.score for each in result.results]
    return said


async def working(settings: Any) -> System:
    system = await System.connected(settings)
    await system.core()
    await system.agent(scripted_latency_ms=20)
    return system


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_fifty_hostile_seats_change_no_outcome_but_their_own(worlds, program):
    quiet = await working(worlds.new())
    try:
        undisturbed = {
            task_id: substance(each) for task_id, each in (await deliberated(quiet)).items()
        }
    finally:
        await quiet.close()

    settings = worlds.new()
    system = await working(settings)
    hostiles = [
        Hostile(
            await program("MOB", f"mob-{number}", settings=settings),
            KINDS[number % len(KINDS)],
            number,
        )
        for number in range(50)
    ]
    try:
        for hostile in hostiles:
            await hostile.begin()
        own = await system.client.ask(
            "MOB", constraints={"timeout_seconds": 60, "seat_timeout_seconds": 5}
        )
        await system.client.outcome((await system.client.ask()).task_id)
        await until(lambda: all(each.done for each in hostiles))
        before = [each.done for each in hostiles]
        disturbed = await deliberated(system)
        assert all(each.done > done for each, done in zip(hostiles, before, strict=True))
        assert {task_id: substance(each) for task_id, each in disturbed.items()} == undisturbed

        result = await system.client.outcome(own.task_id)
        codes = {each.seat: each.code for each in result.failures}
        assert result.status == "COMPLETED"
        for hostile in hostiles:
            failed = {"huge": "bad_answer", "silent": "abstained"}.get(hostile.kind)
            assert codes.get(hostile.program.seat) == failed, hostile.kind

        stats = (await system.client.call(names.STATS)).body["responses_refused"]
        for reason in ("garbage", "wrong_task", "not_open", "wrong_seat", "forged", "duplicate"):
            assert stats[reason] > 0, reason
        (collector,) = await system.client.discovered("STATS", "conclave-collector")
        assert set(collector["data"]["refused"]) == set(stats)
    finally:
        for hostile in hostiles:
            await hostile.end()
        await system.close()


async def test_a_seat_cannot_be_silenced_by_taking_its_message_ids(system: System, program):
    engine = Gated()
    await system.core()
    await system.agent(engine)
    thief = await program(seat="thief")
    await thief.join()
    task_id = (await system.client.ask(num_agents=2)).task_id
    await until(lambda: len(engine.begun) == 2)
    for seat in ("agent-dev-001", "agent-dev-002"):
        for message_id in (f"response.{task_id}.0.{seat}", f"response.{task_id}.0.{seat}."):
            await thief.bus.store(names.agent_response(task_id), b"mine", message_id=message_id)
    engine.gate.set()
    result = await system.client.outcome(task_id)
    assert len(result.results) == 2


async def test_a_ballot_forged_for_another_seat_does_not_count(system: System, program):
    guest = await program()
    engine, task_id = await has_spoken(system, guest, "mine is best")
    mine = guest.taken[0]
    for number in (0, 1):
        forged = mine | {"seat": "agent-dev-001", "round": number}
        await guest.respond(forged, content=json.dumps({"ranking": ["A", "B", "C"]}))
    engine.gate.set()
    result = await system.client.outcome(task_id)
    contents = {each.proposal.author_id: each.proposal.content for each in result.results}
    assert contents["agent-dev-001"] == "by agent-dev-001"
    refused = (await system.client.call(names.STATS)).body["responses_refused"]
    assert refused["forged"] >= 1


async def test_what_a_seat_says_after_it_left_changes_nothing(council: System, program):
    guest = await program()
    await guest.join()
    guest.loop(says("in time"))
    first = await council.client.outcome((await council.client.ask()).task_id)
    await guest.leave()
    await guest.respond(guest.taken[0], content="too late")

    async def counted() -> bool:
        reply = await council.client.call(names.STATS)
        return reply.body["responses_refused"].get("not_open", 0) == 1

    await until_async(counted)
    assert await council.client.get(first.task_id) == first


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"content": "x" * 100_001}, "answer_too_large"),
        ({"content": "x" * 2 * 2**20}, "bad_answer"),
        ({"content": ["no", "text"]}, "bad_answer"),
        ({"content": "fine", "usage": {"completion_tokens": 10**12}}, "bad_answer"),
    ],
    ids=["over its limit", "2 MB", "of another shape", "with absurd usage"],
)
async def test_a_bad_answer_fails_its_own_seat_at_once(council: System, program, said, code):
    guest = await program()
    await guest.join()
    guest.loop(lambda _: said)
    result = await council.client.outcome((await council.client.ask()).task_id)
    assert result.status == "COMPLETED"
    assert {each.seat: each.code for each in result.failures} == {"guest": code}
    assert len(result.results) == 3


async def test_an_answer_may_come_in_messagepack(council: System, program):
    import msgspec

    guest = await program()
    joined = (await guest.join()).body
    task_id = (await council.client.ask()).task_id
    puller = await guest.bus.join(joined["stream"], joined["consumer"])
    (delivery,) = await puller.fetch(1, wait=True)
    request = json.loads(delivery.record.body)
    answer = {name: request[name] for name in ("task_id", "round", "seat", "token")}
    body = msgspec.msgpack.encode(answer | {"content": "packed"})
    headers = {"Content-Type": "application/msgpack"}
    await guest.bus.store(names.agent_response(task_id), body, headers=headers)
    await delivery.ack()
    result = await council.client.outcome(task_id)
    assert "packed" in {each.proposal.content for each in result.results}
