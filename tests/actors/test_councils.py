"""Councils: made, asked, listed and deleted by anybody who may."""

import asyncio

import pytest

from subjects import names
from tests.harness.engines import Talking
from tests.harness.events import until
from tests.harness.system import System

CHEFS = {
    "role": "CHEF",
    "description": "what to cook",
    "seats": [
        {"id": "chef-1", "persona": "grills everything"},
        {"id": "chef-2", "persona": "cooks without fire", "sampling": {"temperature": 0.2}},
    ],
}


async def roles(system: System) -> list[str]:
    reply = await system.client.call(names.COUNCIL_LIST)
    assert reply.body["total"] == len(reply.body["councils"])
    return [each["role"] for each in reply.body["councils"]]


async def test_five_councils_are_there_from_the_beginning(council: System):
    assert await roles(council) == ["ARCHITECT", "DATA", "DEV", "DEVOPS", "QA"]


async def test_a_council_is_shown_with_its_seats(council: System):
    reply = await council.client.call(names.COUNCIL_GET, {"role": "QA"})
    assert [each["id"] for each in reply.body["seats"]] == [f"agent-qa-00{n}" for n in (1, 2, 3)]


async def test_a_new_council_is_stored_as_asked(council: System):
    reply = await council.client.call(names.COUNCIL_CREATE, CHEFS)
    assert reply.error is None
    shown = (await council.client.call(names.COUNCIL_GET, {"role": "CHEF"})).body
    assert shown == reply.body
    assert shown | CHEFS == shown
    assert "CHEF" in await roles(council)


async def test_a_new_council_answers_at_once(council: System):
    await council.client.call(names.COUNCIL_CREATE, CHEFS)
    accepted = await council.client.ask("CHEF")
    result = await council.client.outcome(accepted.task_id)
    assert {each.proposal.author_id for each in result.results} == {"chef-1", "chef-2"}


async def test_a_seats_own_sampling_reaches_the_engine(system: System):
    engine = Talking()
    await system.core()
    await system.agent(engine)
    await system.client.call(names.COUNCIL_CREATE, CHEFS)
    await system.client.outcome((await system.client.ask("CHEF")).task_id)
    found = {each.seat: each.sampling.temperature for each in engine.begun}
    assert found == {"chef-1": None, "chef-2": 0.2}


async def test_a_seat_may_have_a_queue_of_its_own(system: System):
    engine = Talking()
    await system.core()
    await system.agent(Talking())
    await system.agent(engine, instance="guest", queues=("guests",))
    seats = [CHEFS["seats"][0], {"id": "guest", "persona": "visits", "queue": "guests"}]
    await system.client.call(names.COUNCIL_CREATE, CHEFS | {"seats": seats})
    result = await system.client.outcome((await system.client.ask("CHEF")).task_id)
    assert len(result.results) == 2


async def test_a_council_cannot_be_made_twice(council: System):
    await council.client.call(names.COUNCIL_CREATE, CHEFS)
    reply = await council.client.call(names.COUNCIL_CREATE, CHEFS)
    assert (reply.code, reply.error["path"]) == ("conflict", "$.role")


async def test_of_many_who_make_the_same_council_one_succeeds(council: System):
    await council.add("registry", "registry-2")
    calls = (council.client.call(names.COUNCIL_CREATE, CHEFS) for _ in range(20))
    replies = await asyncio.gather(*calls)
    assert sum(each.error is None for each in replies) == 1
    assert {each.code for each in replies if each.error is not None} == {"conflict"}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"seats": []}, "$.seats"),
        ({"seats": [CHEFS["seats"][0]] * 2}, "$.seats"),
        ({"seats": [{"id": f"s{n}", "persona": "p"} for n in range(65)]}, "$.seats"),
        ({"seats": [{"id": "a.b", "persona": "p"}]}, "$.seats[0].id"),
        ({"seats": [{"id": "a"}]}, "$.seats[0].persona"),
        ({"role": "a b"}, "$.role"),
        ({"role": "*"}, "$.role"),
        ({"colour": "red"}, "$.colour"),
    ],
    ids=str,
)
async def test_a_council_is_refused_for(council: System, change: dict, path: str):
    reply = await council.client.call(names.COUNCIL_CREATE, CHEFS | change)
    assert reply.error["path"].replace("[...]", "[0]") == path
    assert reply.code in ("bad_message", "bad_request")
    assert len(await roles(council)) == 5


async def test_a_deleted_council_is_gone(council: System):
    reply = await council.client.call(names.COUNCIL_DELETE, {"role": "QA"})
    assert reply.error is None
    assert "QA" not in await roles(council)
    for subject in (names.COUNCIL_GET, names.COUNCIL_DELETE):
        assert (await council.client.call(subject, {"role": "QA"})).code == "unknown_role"


async def test_a_deleted_council_is_not_asked(council: System):
    await council.client.call(names.COUNCIL_DELETE, {"role": "QA"})
    dispatcher = next(each for each, _ in council._running if "dispatcher" in each.service.name)
    await until(lambda: "QA" not in {each.role for each in dispatcher._councils.all()})
    request = {"task_description": "x y", "role": "QA"}
    assert (await council.client.call(names.REQUEST, request)).code == "unknown_role"


async def test_a_default_council_that_was_deleted_stays_deleted(council: System):
    await council.client.call(names.COUNCIL_DELETE, {"role": "QA"})
    await council.add("registry", "registry-2")
    assert "QA" not in await roles(council)


async def test_a_deleted_council_can_be_made_anew(council: System):
    await council.client.call(names.COUNCIL_DELETE, {"role": "QA"})
    reply = await council.client.call(names.COUNCIL_CREATE, CHEFS | {"role": "QA"})
    assert reply.error is None
    accepted = await council.client.ask("QA")
    assert set(accepted.seats) == {"chef-1", "chef-2"}
    await council.client.outcome(accepted.task_id)


async def test_councils_outlive_their_registry(council: System):
    await council.client.call(names.COUNCIL_CREATE, CHEFS)
    registry = next(each for each, _ in council._running if "registry" in each.service.name)
    await council.crash(registry)
    await council.add("registry", "registry-2")
    assert "CHEF" in await roles(council)
