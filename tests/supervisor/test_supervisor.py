"""The supervisor with real processes: what is killed comes back, what is stopped stays away."""

import asyncio
import os
import signal

import pytest

from supervisor import policy
from supervisor.config import SupervisorSettings
from supervisor.health import Answer
from supervisor.spec import ChildSpec, ServiceAnswers
from supervisor.supervisor import Supervisor
from tests.supervisor.children import (
    CRASHING,
    OBEDIENT,
    STUBBORN,
    alive,
    always_alive,
    eventually,
    python,
    supervising,
)

HEALTHY = ServiceAnswers("conclave-test", "1")


async def ready(supervisor):
    async with asyncio.timeout(10):
        await supervisor.ready.wait()


async def replaced(supervisor, child, old):
    """Wait until another process stands where `old` was; return its number."""
    await eventually(lambda: supervisor.pid(child) not in (None, old))
    await ready(supervisor)
    return supervisor.pid(child)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_a_killed_child_is_running_again_within_a_second(number):
    async with supervising([python(OBEDIENT, "a"), python(OBEDIENT, "b")]) as supervisor:
        await ready(supervisor)
        victim, sibling = supervisor.pid("a"), supervisor.pid("b")
        os.kill(victim, number)
        async with asyncio.timeout(1):
            assert await replaced(supervisor, "a", victim) != victim
        assert supervisor.pid("b") == sibling


async def test_a_child_that_ends_by_itself_is_started_anew_if_it_is_permanent():
    async with supervising(
        [python("pass", "short"), python(OBEDIENT, "long")], max_restarts=2
    ) as sup:
        await eventually(lambda: sup.outcome is not None)
    assert sup.outcome.exit_code == 70
    assert "short failed more than 2 times" in sup.outcome.reason


async def test_a_transient_child_that_has_done_its_work_stays_away():
    specs = [python("pass", "once", restart="transient"), python(OBEDIENT, "long")]
    async with supervising(specs) as supervisor:
        await eventually(lambda: supervisor.pid("once") is None)
        await ready(supervisor)


async def test_a_child_that_raises_at_its_start_ends_the_system_with_its_last_words():
    async with supervising(
        [python(OBEDIENT, "good"), python(CRASHING, "bad")], max_restarts=3
    ) as sup:
        await eventually(lambda: sup.outcome is not None)
        assert sup.pid("good") is None
    assert sup.outcome.exit_code == 70
    assert "the configuration is nowhere to be found" in sup.outcome.reason


async def test_a_program_that_does_not_exist_ends_the_system_too():
    missing = ChildSpec(id="missing", argv=("/no/such/program",))
    async with supervising([missing], max_restarts=1) as supervisor:
        await eventually(lambda: supervisor.outcome is not None)
    assert "cannot start /no/such/program" in supervisor.outcome.reason


async def test_a_stopped_child_misses_its_heartbeats_and_is_replaced():
    stopped: set[int] = set()

    async def ask(probe, timeout_s):
        del probe, timeout_s
        return Answer.MISSING if supervisor.pid("a") in stopped else Answer.ALIVE

    spec = python(OBEDIENT, "a", ready=HEALTHY, health=HEALTHY)
    async with supervising([spec], ask, heartbeat_seconds=0.05) as supervisor:
        await ready(supervisor)
        victim = supervisor.pid("a")
        os.kill(victim, signal.SIGSTOP)
        stopped.add(victim)
        await replaced(supervisor, "a", victim)
        assert not alive(victim)


async def test_nobody_is_called_hung_while_nats_itself_is_silent():
    asked = asyncio.Queue()

    async def ask(probe, timeout_s):
        del probe, timeout_s
        asked.put_nowait(None)
        return Answer.ALIVE if asked.qsize() == 1 else Answer.UNKNOWN

    spec = python(OBEDIENT, "a", ready=HEALTHY, health=HEALTHY)
    async with supervising([spec], ask, heartbeat_seconds=0.01) as supervisor:
        await ready(supervisor)
        before = supervisor.pid("a")
        await eventually(lambda: asked.qsize() > 20)
        assert supervisor.pid("a") == before


async def test_a_child_that_is_not_ready_in_time_is_killed_and_started_anew():
    async def ask(probe, timeout_s):
        del probe, timeout_s
        return Answer.MISSING

    spec = python(OBEDIENT, "a", ready=HEALTHY, start_timeout_s=0.2)
    async with supervising([spec], ask, max_restarts=1) as supervisor:
        await eventually(lambda: supervisor.outcome is not None)
    assert "2 times in a row before it was ready" in supervisor.outcome.reason


async def test_stopping_takes_everybody_along_even_who_ignores_it():
    specs = [python(OBEDIENT, "good"), python(STUBBORN, "bad", stop_timeout_s=0.3)]
    async with supervising(specs) as supervisor:
        await ready(supervisor)
        pids = [supervisor.pid("good"), supervisor.pid("bad")]
    assert supervisor.outcome.exit_code == 0
    assert not any(alive(pid) for pid in pids)


async def test_a_second_request_to_stop_does_not_wait_for_the_timeout(monkeypatch):
    monkeypatch.setattr(policy, "SAME_WISH_S", 0.0)
    async with supervising([python(STUBBORN, "bad", stop_timeout_s=60.0)]) as supervisor:
        await ready(supervisor)
        victim = supervisor.pid("bad")
        supervisor.stop()
        supervisor.stop()
        await eventually(lambda: supervisor.outcome is not None)
    assert not alive(victim)


async def test_a_cancelled_supervisor_leaves_no_process_behind():
    supervisor = Supervisor([python(OBEDIENT, "a")], SupervisorSettings(), always_alive)
    running = asyncio.create_task(supervisor.run())
    await ready(supervisor)
    pid = supervisor.pid("a")
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not alive(pid)


async def test_whoever_watched_a_dead_child_says_nothing_about_its_successor():
    """A request of nats-py may lose its cancellation; this one always does."""
    asked = 0

    async def ask(probe, timeout_s):
        nonlocal asked
        del probe, timeout_s
        asked += 1
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            return Answer.MISSING
        return Answer.ALIVE

    spec = python(OBEDIENT, "a", ready=HEALTHY, health=HEALTHY)
    quick = {"heartbeat_seconds": 0.01, "missed_heartbeats": 1}
    async with supervising([spec], ask, **quick) as supervisor:
        await ready(supervisor)
        os.kill(supervisor.pid("a"), signal.SIGKILL)
        successor = await replaced(supervisor, "a", supervisor.pid("a"))
        before = asked
        await eventually(lambda: asked > before + 5)
        assert supervisor.pid("a") == successor
