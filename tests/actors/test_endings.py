"""How deliberations end when all does not go well: cancel, deadline, failed seats, size."""

import asyncio

import pytest

from schemas.codec import decode
from schemas.result import Stats
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.harness.engines import SECRET, Gated, Mute, Raising, Refusing, Talking
from tests.harness.events import until, until_async
from tests.harness.system import Client, System

SHORT = {"timeout_seconds": 0.6}


async def cancelled(client: Client, task_id: str, **request: str) -> None:
    reply = await client.call(names.CANCEL, {"task_id": task_id, **request})
    assert reply.error is None, reply.error
    assert (reply.body["task_id"], reply.body["status"]) == (task_id, "CANCELLED")


class TestCancel:
    async def test_a_cancel_ends_it_and_reaches_the_engine(self, system: System):
        engine = Gated()
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask()).task_id
        await until(lambda: len(engine.begun) == 3)
        await cancelled(system.client, task_id, reason="changed my mind")
        result = await system.client.outcome(task_id)
        assert (result.status, result.reason) == ("CANCELLED", "changed my mind")
        assert {each.code for each in result.failures} == {"cancelled"}
        await until(lambda: engine.aborted() == 3)

    async def test_what_was_aborted_is_seen_in_the_stats(self, system: System):
        engine = Gated()
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask()).task_id
        await until(lambda: len(engine.begun) == 3)
        await cancelled(system.client, task_id)

        async def seen() -> bool:
            stats = decode(Stats, (await system.client.call(names.STATS)).raw)
            return (stats.agents[0].aborted, stats.cancelled, stats.agents[0].running) == (3, 1, 0)

        await until_async(seen)

    async def test_a_cancel_keeps_what_was_said(self, system: System):
        engine = Gated(frozenset({"agent-dev-002", "agent-dev-003"}))
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask()).task_id

        async def one_answered() -> bool:
            return len((await system.client.get(task_id)).results) == 1

        await until_async(one_answered)
        await cancelled(system.client, task_id)
        result = await system.client.outcome(task_id)
        assert result.winner_id == "agent-dev-001"
        assert result.degraded

    async def test_it_can_be_cancelled_before_anybody_took_it_up(self, system: System):
        await system.core()
        task_id = (await system.client.ask()).task_id
        await cancelled(system.client, task_id)
        assert (await system.client.outcome(task_id)).results == ()

    async def test_what_is_over_cannot_be_cancelled(self, council: System):
        task_id = (await council.client.ask()).task_id
        await council.client.outcome(task_id)
        reply = await council.client.call(names.CANCEL, {"task_id": task_id})
        assert (reply.code, reply.headers["Nats-Service-Error-Code"]) == ("already_over", "409")

    async def test_of_many_cancels_one_succeeds(self, system: System):
        await system.core()
        task_id = (await system.client.ask()).task_id
        calls = (system.client.call(names.CANCEL, {"task_id": task_id}) for _ in range(20))
        replies = await asyncio.gather(*calls)
        assert sum(each.error is None for each in replies) == 1
        assert {each.code for each in replies if each.error is not None} == {"already_over"}
        await system.client.outcome(task_id)

    async def test_a_cancel_frees_the_slots_for_others(self, system: System):
        engine = Gated(frozenset({"agent-dev-001"}))
        await system.core()
        await system.agent(engine, max_concurrency=1)
        stuck = (await system.client.ask(num_agents=1)).task_id
        await until(lambda: engine.begun)
        waiting = (await system.client.ask("QA", num_agents=1)).task_id
        await cancelled(system.client, stuck)
        assert (await system.client.outcome(waiting)).status == "COMPLETED"


class TestDeadline:
    async def test_at_the_deadline_what_was_said_is_kept(self, system: System):
        engine = Gated(frozenset({"agent-dev-003"}))
        await system.core()
        await system.agent(engine)
        task_id = (await system.client.ask(constraints=SHORT)).task_id
        result = await system.client.outcome(task_id)
        assert (result.status, len(result.results), result.degraded) == ("TIMEOUT", 2, True)
        assert [(each.seat, each.code) for each in result.failures] == [
            ("agent-dev-003", "timeout")
        ]
        assert system.client.outcomes[task_id][0][0] == names.TIMEOUT
        await until(lambda: engine.aborted() == 1)

    async def test_the_deadline_holds_though_no_agent_lives(self, system: System):
        await system.core()
        accepted = await system.client.ask(constraints=SHORT)
        result = await system.client.outcome(accepted.task_id)
        assert (result.status, len(result.failures)) == ("TIMEOUT", 3)
        assert 600 <= result.duration_ms < 3_000

    async def test_deadlines_are_kept_in_whatever_order_they_come(self, system: System):
        await system.core()
        timeouts = (1.2, 0.3, 0.9, 0.6)
        asked = [await system.client.ask(constraints={"timeout_seconds": t}) for t in timeouts]
        for accepted in asked:
            await system.client.outcome(accepted.task_id)
        ends = {task_id: each[0][1] for task_id, each in system.client.outcomes.items()}
        for accepted, seconds in zip(asked, timeouts, strict=True):
            assert abs(ends[accepted.task_id].duration_ms - seconds * 1_000) < 700

    async def test_work_that_comes_too_late_is_dropped(self, system: System):
        await system.core()
        accepted = await system.client.ask(constraints=SHORT)
        await system.client.outcome(accepted.task_id)
        engine = Talking()
        agent = await system.agent(engine)
        await until(lambda: agent.service._data()["dropped"] == 3)
        assert engine.begun == []

    async def test_the_slots_are_free_again_after_a_deadline(self, system: System):
        engine = Gated(frozenset({"agent-dev-001"}))
        await system.core()
        await system.agent(engine, max_concurrency=1)
        stuck = await system.client.ask(num_agents=1, constraints=SHORT)
        other = await system.client.ask("QA", num_agents=1)
        assert (await system.client.outcome(stuck.task_id)).status == "TIMEOUT"
        assert (await system.client.outcome(other.task_id)).status == "COMPLETED"


class TestFailures:
    async def test_one_failed_seat_leaves_a_degraded_result(self, system: System):
        await system.core()
        await system.agent(Refusing("prompt_too_long", "agent-dev-002"))
        result = await system.client.outcome((await system.client.ask()).task_id)
        assert (result.status, result.degraded, len(result.results)) == ("COMPLETED", True, 2)
        (failure,) = result.failures
        assert (failure.seat, failure.code) == ("agent-dev-002", "prompt_too_long")
        assert failure.message == "agent-dev-002 will not"

    async def test_when_every_seat_fails_it_has_failed(self, system: System):
        await system.core()
        await system.agent(Refusing("bad_schema"))
        task_id = (await system.client.ask()).task_id
        result = await system.client.outcome(task_id)
        assert (result.status, result.reason) == ("FAILED", "no seat proposed anything")
        assert (result.winner_id, len(result.failures)) == (None, 3)
        assert system.client.outcomes[task_id][0][0] == names.FAILED

    async def test_a_defect_in_the_engine_fails_the_seat_and_stays_secret(self, system: System):
        await system.core()
        await system.agent(Raising("agent-dev-001"))
        task_id = (await system.client.ask()).task_id
        result = await system.client.outcome(task_id)
        assert [each.code for each in result.failures] == ["internal"]
        stored = await system.client.bus.scan(DELIBERATIONS, names.agent_response(task_id))
        assert not [each for each in stored if SECRET.encode() in each.body]

    async def test_an_engine_that_ends_without_a_result_fails_the_seat(self, system: System):
        await system.core()
        await system.agent(Mute())
        result = await system.client.outcome((await system.client.ask()).task_id)
        assert {each.code for each in result.failures} == {"internal"}

    async def test_an_agent_goes_on_after_failures(self, system: System):
        await system.core()
        agent = await system.agent(Raising("agent-dev-001"))
        for _ in range(5):
            await system.client.outcome((await system.client.ask(num_agents=1)).task_id)
        result = await system.client.outcome((await system.client.ask("QA")).task_id)
        assert result.status == "COMPLETED"
        assert not agent.failed.is_set()

    @pytest.mark.parametrize("size", [1_000_001, 9_000_000])
    async def test_an_answer_that_is_too_large_fails_the_seat(self, system: System, size: int):
        engine = Talking(lambda each: "x" * size if each.seat == "agent-dev-001" else "short")
        await system.core()
        await system.agent(engine)
        accepted = await system.client.ask(constraints={"timeout_seconds": 15})
        result = await system.client.outcome(accepted.task_id)
        assert result.status == "COMPLETED"
        assert [(each.seat, each.code) for each in result.failures] == [
            ("agent-dev-001", "answer_too_large")
        ]

    async def test_an_empty_answer_is_an_answer(self, system: System):
        await system.core()
        await system.agent(Talking(lambda _: ""))
        result = await system.client.outcome((await system.client.ask()).task_id)
        assert (result.status, len(result.results)) == ("COMPLETED", 3)
        assert result.quality.diversity == 0.0


class TestSize:
    async def test_a_result_over_max_payload_is_truncated_and_the_rest_can_be_got(
        self, make_server
    ):
        server = make_server(max_payload=65_536)
        system = await System.connected(server.account())
        await system.core()
        await system.agent(Talking(lambda each: f"{each.seat} says: " + "word " * 6_000))
        task_id = (await system.client.ask()).task_id
        result = await system.client.outcome(task_id)
        assert (result.status, result.truncated) == ("COMPLETED", True)
        assert [bool(each.proposal.content) for each in result.results] == [True, False, False]
        for each in result.results:
            got = await system.client.get(task_id, author_id=each.proposal.author_id)
            assert len(got.results[0].proposal.content) > 30_000
        await system.close()


async def test_a_result_that_cannot_be_told_ends_its_deliberation_all_the_same(
    council: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("actors.deliberations.outcome.quality.content", broken)
    result = await council.client.outcome((await council.client.ask()).task_id)
    assert (result.status, result.results) == ("FAILED", ())
    assert "could not be told" in result.reason
    assert "ZeroDivisionError" in caplog.text
