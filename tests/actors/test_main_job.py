"""One request in, one ranked result out."""

import asyncio

import pytest

from schemas.progress import SeatAnswered, SeatStarted, TextDelta
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.harness.engines import Gated, Streaming, Talking
from tests.harness.events import until
from tests.harness.system import System

REQUEST = {"task_description": "Add retries", "role": "DEV", "task_id": "mine-1"}


async def test_a_request_ends_in_exactly_one_completed_event(council: System):
    accepted = await council.client.ask()
    result = await council.client.outcome(accepted.task_id)
    assert council.client.outcomes[accepted.task_id][0][0] == "deliberation.completed"
    assert result.status == "COMPLETED"
    assert [each.rank for each in result.results] == [1, 2, 3]
    assert result.winner_id == result.results[0].proposal.author_id
    assert result.winner_reason
    assert not result.degraded


async def test_the_acknowledgement_says_who_is_asked_until_when(council: System):
    accepted = await council.client.ask(constraints={"timeout_seconds": 20})
    assert (accepted.status, accepted.role, accepted.protocol) == ("PENDING", "DEV", "independent")
    assert accepted.seats == ("agent-dev-001", "agent-dev-002", "agent-dev-003")
    assert accepted.deadline_ms - accepted.accepted_at_ms == 20_000
    assert not accepted.duplicate


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_as_many_seats_answer_as_were_asked_for(council: System, count: int):
    accepted = await council.client.ask(num_agents=count)
    result = await council.client.outcome(accepted.task_id)
    assert len(result.results) == count
    assert {each.proposal.author_id for each in result.results} == set(accepted.seats)


@pytest.mark.parametrize("role", ["DEV", "QA", "ARCHITECT", "DEVOPS", "DATA"])
async def test_every_default_council_answers(council: System, role: str):
    accepted = await council.client.ask(role)
    result = await council.client.outcome(accepted.task_id)
    assert {each.proposal.author_role for each in result.results} == {role}


async def test_every_proposal_names_its_engine_its_model_and_its_cost(system: System):
    await system.core()
    await system.agent(Talking())
    accepted = await system.client.ask(num_agents=1)
    result = await system.client.outcome(accepted.task_id)
    proposal = result.results[0].proposal
    assert (proposal.engine, proposal.model, proposal.logprob) == ("talking", "talking-1", -0.5)
    assert (proposal.usage.prompt_tokens, proposal.usage.cached_tokens) == (7, 5)
    assert result.usage == proposal.usage
    assert proposal.timing.total_ms >= 0


async def test_the_same_request_again_is_answered_the_same(council: System):
    first = await council.client.call(names.REQUEST, REQUEST)
    again = await council.client.call(names.REQUEST, REQUEST)
    assert again.body == first.body | {"duplicate": True}
    await council.client.outcome("mine-1")
    later = await council.client.call(names.REQUEST, REQUEST)
    assert later.body == again.body


async def test_many_equal_requests_at_once_are_one_deliberation(council: System):
    calls = (council.client.call(names.REQUEST, REQUEST) for _ in range(30))
    replies = await asyncio.gather(*calls)
    assert sum(not each.body["duplicate"] for each in replies) == 1
    await council.client.outcome("mine-1")
    records = await council.client.bus.scan(DELIBERATIONS, names.opened("mine-1"))
    assert len(records) == 1


async def test_another_request_under_the_same_id_is_a_conflict(council: System):
    await council.client.call(names.REQUEST, REQUEST)
    reply = await council.client.call(names.REQUEST, REQUEST | {"num_agents": 1})
    assert (reply.code, reply.error["path"]) == ("conflict", "$.task_id")
    assert reply.headers["Nats-Service-Error-Code"] == "409"


async def test_who_watches_sees_seats_begin_speak_and_end(system: System):
    await system.core()
    await system.agent(Streaming(lambda each: f"one two three {each.seat}"))
    accepted = await system.client.ask()
    result = await system.client.outcome(accepted.task_id)
    events = system.client.progress[accepted.task_id]
    await until(lambda: sum(isinstance(each, SeatAnswered) for each in events) == 3)
    for ranked in result.results:
        seat = ranked.proposal.author_id
        mine = [each for each in events if each.seat == seat]
        assert isinstance(mine[0], SeatStarted)
        deltas = [each for each in mine if isinstance(each, TextDelta)]
        assert "".join(each.text for each in deltas).strip() == ranked.proposal.content
        assert deltas[-1].offset == sum(len(each.text) for each in deltas[:-1])


async def test_thinking_is_not_shown_to_who_watches(system: System):
    await system.core()
    await system.agent(Streaming())
    accepted = await system.client.ask(num_agents=1)
    await system.client.outcome(accepted.task_id)
    events = system.client.progress[accepted.task_id]
    assert not [each for each in events if isinstance(each, TextDelta) and "private" in each.text]


async def test_all_seats_speak_at_the_same_time(system: System):
    engine = Gated()
    await system.core()
    await system.agent(engine)
    accepted = await system.client.ask()
    await until(lambda: len(engine.begun) == 3)
    engine.gate.set()
    await system.client.outcome(accepted.task_id)


async def test_an_agent_takes_no_more_than_it_has_slots_for(system: System):
    engine = Gated()
    await system.core()
    agent = await system.agent(engine, max_concurrency=2)
    accepted = await system.client.ask()
    await until(lambda: len(engine.begun) == 2)
    assert (agent._slots.taken, agent._slots.free) == (2, 0)
    engine.gate.set()
    await system.client.outcome(accepted.task_id)
    assert len(engine.begun) == 3


async def test_agents_share_the_work(system: System):
    engines = [Gated(), Gated()]
    await system.core()
    for number, engine in enumerate(engines):
        await system.agent(engine, instance=f"agent-{number}", max_concurrency=2)
    accepted = await system.client.ask()
    await until(lambda: sum(len(each.begun) for each in engines) == 3)
    assert all(each.begun for each in engines)
    for engine in engines:
        engine.gate.set()
    await system.client.outcome(accepted.task_id)


async def test_a_pool_that_is_named_serves_its_queue_alone(system: System):
    dev, rest = Talking(), Talking()
    await system.core()
    await system.agent(dev, instance="dev", queues=("DEV",))
    await system.agent(rest, instance="rest", queues=("*",), named_queues=frozenset({"DEV"}))
    for role in ("DEV", "QA"):
        accepted = await system.client.ask(role)
        await system.client.outcome(accepted.task_id)
    assert {each.queue for each in dev.begun} == {"DEV"}
    assert {each.queue for each in rest.begun} == {"QA"}


async def test_what_the_caller_asks_for_reaches_the_engine(system: System):
    engine = Talking()
    await system.core()
    await system.agent(engine)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    accepted = await system.client.ask(
        num_agents=1, priority=-5, sampling={"max_tokens": 9, "seed": 4}, response_schema=schema
    )
    await system.client.outcome(accepted.task_id)
    (generation,) = engine.begun
    assert (generation.priority, generation.response_schema) == (-5, schema)
    assert (generation.sampling.max_tokens, generation.sampling.seed) == (9, 4)


async def test_a_hundred_deliberations_at_once_all_end_once(council: System):
    accepted = await asyncio.gather(*(council.client.ask(num_agents=2) for _ in range(100)))
    results = [await council.client.outcome(each.task_id) for each in accepted]
    assert {each.status for each in results} == {"COMPLETED"}
    assert await council.client.bus.healthy()
    assert all(len(each) == 1 for each in council.client.outcomes.values())


async def test_a_context_of_the_largest_size_reaches_the_agents(system: System):
    engine = Talking()
    await system.core()
    await system.agent(engine)
    accepted = await system.client.ask(
        context="x" * 999_990, num_agents=1, constraints={"timeout_seconds": 10}
    )
    assert (await system.client.outcome(accepted.task_id)).status == "COMPLETED"


async def test_the_last_seat_tells_that_it_answered_though_the_outcome_is_faster(council: System):
    asked = await asyncio.gather(*(council.client.ask() for _ in range(20)))
    for accepted in asked:
        await council.client.outcome(accepted.task_id)
        events = council.client.progress[accepted.task_id]
        await until(lambda events=events: sum(isinstance(e, SeatAnswered) for e in events) == 3)
