"""What can be asked about deliberations: get, wait, list and stats."""

import asyncio
import time

import pytest

from schemas.codec import decode
from schemas.deliberation import FINAL_STATUSES
from schemas.result import Page, Stats
from subjects import names
from tests.harness.engines import Gated, Refusing
from tests.harness.events import until, until_async
from tests.harness.system import Client, System

NO_TASK = {"task_id": "never-heard-of"}


async def listed(client: Client, **query: object) -> Page:
    reply = await client.call(names.LIST, query)
    assert reply.error is None, reply.error
    return decode(Page, reply.raw)


async def stats(client: Client) -> Stats:
    return decode(Stats, (await client.call(names.STATS)).raw)


async def ended(client: Client, count: int, role: str = "DEV") -> list[str]:
    """Ids of deliberations that have ended, oldest first."""
    ids = [(await client.ask(role, num_agents=1)).task_id for _ in range(count)]
    for task_id in ids:
        await client.outcome(task_id)
    return ids


class TestGet:
    async def test_a_deliberation_nobody_took_up_is_pending(self, system: System):
        await system.core()
        accepted = await system.client.ask()
        found = await system.client.get(accepted.task_id)
        assert (found.status, found.results, found.seats) == ("PENDING", (), accepted.seats)

    async def test_a_deliberation_that_runs_shows_what_is_known_so_far(self, system: System):
        engine = Gated(frozenset({"agent-dev-003"}))
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask()).task_id

        async def two_answered() -> bool:
            return len((await system.client.get(task_id)).results) == 2

        await until_async(two_answered)
        found = await system.client.get(task_id)
        assert (found.status, found.failures) == ("IN_PROGRESS", ())
        assert found.winner_id in ("agent-dev-001", "agent-dev-002")
        engine.gate.set()
        await system.client.outcome(task_id)

    async def test_a_deliberation_that_has_begun_is_in_progress(self, system: System):
        engine = Gated()
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask()).task_id
        await until(lambda: system.client.progress[task_id])
        assert (await system.client.get(task_id)).status == "IN_PROGRESS"
        engine.gate.set()

    async def test_that_it_has_begun_is_known_to_a_responder_that_comes_later(self, system: System):
        engine = Gated()
        for kind in ("registry", "dispatcher", "collector"):
            await system.add(kind)
        await system.agent(engine)
        task_id = (await system.client.ask()).task_id
        await until(lambda: engine.begun)
        await system.add("responder")
        assert (await system.client.get(task_id)).status == "IN_PROGRESS"
        engine.gate.set()

    async def test_one_opened_while_all_agents_are_busy_is_pending(self, system: System):
        engine = Gated()
        await system.core()
        await system.agent(engine, max_concurrency=3)
        running = (await system.client.ask()).task_id
        await until(lambda: len(engine.begun) == 3)
        waiting = (await system.client.ask()).task_id
        assert (await system.client.get(waiting)).status == "PENDING"
        summaries = (await listed(system.client)).deliberations
        told = {each.task_id: each.status for each in summaries}
        assert told == {running: "IN_PROGRESS", waiting: "PENDING"}
        engine.gate.set()
        await system.client.outcome(waiting)

    async def test_what_is_over_is_told_as_in_the_event(self, council: System):
        accepted = await council.client.ask()
        result = await council.client.outcome(accepted.task_id)
        assert await council.client.get(accepted.task_id) == result

    async def test_one_seats_proposal_can_be_asked_for(self, council: System):
        accepted = await council.client.ask()
        result = await council.client.outcome(accepted.task_id)
        found = await council.client.get(accepted.task_id, author_id="agent-dev-002")
        assert [each.proposal.author_id for each in found.results] == ["agent-dev-002"]
        assert found.results[0] in result.results

    async def test_a_seat_that_did_not_propose_is_unknown(self, council: System):
        accepted = await council.client.ask(num_agents=1)
        await council.client.outcome(accepted.task_id)
        query = {"task_id": accepted.task_id, "author_id": "agent-dev-002"}
        reply = await council.client.call(names.GET, query)
        assert (reply.code, reply.error["path"]) == ("unknown_task", "$.author_id")

    async def test_an_unknown_deliberation_is_an_error(self, council: System):
        for subject in (names.GET, names.WAIT, names.CANCEL):
            reply = await council.client.call(subject, NO_TASK)
            assert (reply.code, reply.error["path"]) == ("unknown_task", "$.task_id")
            assert reply.headers["Nats-Service-Error-Code"] == "404"


class TestWait:
    async def test_waiting_ends_with_the_outcome(self, system: System):
        engine = Gated()
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask()).task_id
        waiting = asyncio.ensure_future(system.client.call(names.WAIT, {"task_id": task_id}))
        await until(lambda: len(engine.begun) == 3)
        assert not waiting.done()
        engine.gate.set()
        assert (await waiting).body["status"] == "COMPLETED"

    async def test_waiting_for_what_is_over_ends_at_once(self, council: System):
        (task_id,) = await ended(council.client, 1)
        reply = await council.client.call(names.WAIT, {"task_id": task_id})
        assert reply.body["status"] == "COMPLETED"

    async def test_waiting_ends_with_the_callers_patience(self, system: System):
        await system.core()
        task_id = (await system.client.ask()).task_id
        begun = time.monotonic()
        reply = await system.client.call(names.WAIT, {"task_id": task_id, "timeout_seconds": 0.2})
        assert reply.body["status"] == "PENDING"
        assert 0.2 <= time.monotonic() - begun < 5

    async def test_many_may_wait_for_one(self, system: System):
        engine = Gated()
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask()).task_id
        calls = [system.client.call(names.WAIT, {"task_id": task_id}) for _ in range(50)]
        waiting = asyncio.gather(*calls)
        await until(lambda: len(engine.begun) == 3)
        engine.gate.set()
        assert {each.body["status"] for each in await waiting} == {"COMPLETED"}

    async def test_who_waits_is_answered_when_the_responder_stops(self, system: System):
        for kind in ("registry", "dispatcher"):
            await system.add(kind)
        responder = await system.add("responder")
        task_id = (await system.client.ask()).task_id
        waiting = asyncio.ensure_future(system.client.call(names.WAIT, {"task_id": task_id}))
        await until(lambda: len(responder._waiters) == 1)
        begun = time.monotonic()
        await system.stop(responder)
        reply = await waiting
        assert reply.code == "unavailable"
        assert time.monotonic() - begun < 4


class TestList:
    async def test_nothing_is_an_empty_page(self, council: System):
        page = await listed(council.client)
        assert (page.deliberations, page.cursor) == ((), None)

    async def test_the_newest_is_first(self, council: System):
        ids = await ended(council.client, 3)
        page = await listed(council.client)
        assert [each.task_id for each in page.deliberations] == ids[::-1]
        assert {each.status for each in page.deliberations} == {"COMPLETED"}
        assert all(each.winner_id == "agent-dev-001" for each in page.deliberations)

    async def test_pages_follow_each_other_without_gap_or_double(self, council: System):
        ids = await ended(council.client, 7)
        found: list[str] = []
        page = await listed(council.client, limit=3)
        while True:
            found += [each.task_id for each in page.deliberations]
            if page.cursor is None:
                break
            page = await listed(council.client, limit=3, cursor=page.cursor)
        assert found == ids[::-1]

    async def test_what_is_new_does_not_move_the_pages(self, council: System):
        ids = await ended(council.client, 4)
        first = await listed(council.client, limit=2)
        await ended(council.client, 2)
        second = await listed(council.client, limit=2, cursor=first.cursor)
        found = [each.task_id for each in first.deliberations + second.deliberations]
        assert found == ids[::-1]

    async def test_role_and_status_filter(self, council: System):
        await ended(council.client, 2, "DEV")
        qa = await ended(council.client, 1, "QA")
        page = await listed(council.client, role="QA", status="COMPLETED")
        assert [each.task_id for each in page.deliberations] == qa
        assert (await listed(council.client, status="FAILED")).deliberations == ()

    async def test_what_runs_is_listed_as_pending(self, system: System):
        await system.core()
        accepted = await system.client.ask(task_description="x" * 200)
        (summary,) = (await listed(system.client, status="PENDING")).deliberations
        assert (summary.task_id, summary.task_description) == (accepted.task_id, "x" * 120)

    async def test_garbage_in_the_stream_is_passed_over(self, council: System):
        (task_id,) = await ended(council.client, 1)
        bus = council.client.bus
        await bus.store(names.opened("garbage"), b"nope")
        await bus.store(names.outcome("completed", "garbage"), b"nope")
        forged = (await council.client.ask()).task_id
        await bus.store(names.outcome("failed", forged), b"nope")
        page = await listed(council.client)
        assert [each.task_id for each in page.deliberations] == [task_id]


class TestStats:
    async def test_outcomes_are_counted_per_council(self, council: System):
        await ended(council.client, 2, "DEV")
        await ended(council.client, 1, "QA")

        async def counted() -> bool:
            return (await stats(council.client)).completed == 3

        await until_async(counted)
        found = await stats(council.client)
        assert [(each.role, each.completed) for each in found.councils] == [("DEV", 2), ("QA", 1)]
        assert found.duration.max >= found.duration.p50 >= 0
        assert found.usage.completion_tokens > 0

    async def test_failures_and_failed_seats_are_counted(self, system: System):
        await system.core()
        await system.agent(Refusing("planted_failure"))
        accepted = await system.client.ask()
        await system.client.outcome(accepted.task_id)

        async def counted() -> bool:
            return (await stats(system.client)).failed == 1

        await until_async(counted)
        found = await stats(system.client)
        assert found.councils[0].seat_failures == 3
        assert found.agents[0].failed == 3

    async def test_every_agent_that_lives_is_named(self, system: System):
        await system.core()
        for name in ("agent-a", "agent-b"):
            await system.agent(instance=name, max_concurrency=5)
        found = (await stats(system.client)).agents
        assert [(each.agent, each.slots, each.running) for each in found] == [
            ("agent-a", 5, 0),
            ("agent-b", 5, 0),
        ]
        assert found[0].queues == ("ARCHITECT", "DATA", "DEV", "DEVOPS", "QA")

    async def test_counts_outlive_the_responder(self, council: System):
        await ended(council.client, 2)
        await replaced(council)

        async def counted() -> bool:
            return (await stats(council.client)).completed == 2

        await until_async(counted)

    async def test_a_responder_that_starts_counts_no_more_than_the_newest(
        self, council: System, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("actors.queries.responder.MAX_READ", 3)
        for _ in range(3):
            await ended(council.client, 1)
        await replaced(council)
        await ended(council.client, 1, "QA")

        async def counted_last() -> bool:
            return "QA" in {each.role for each in (await stats(council.client)).councils}

        await until_async(counted_last)
        assert (await stats(council.client)).completed < 4


async def replaced(council: System) -> None:
    """Another responder comes for the one that crashed."""
    responder = next(each for each, _ in council._running if each.service.name.endswith("nder"))
    await council.crash(responder)
    await council.add("responder", "responder-2")


def test_there_are_four_ways_to_end():
    assert set(FINAL_STATUSES) == {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"}
