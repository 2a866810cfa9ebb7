"""When to look again: never late, and with no more kept than there is to look at."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from actors.deliberations.wakings import Wakings

TASKS = st.sampled_from([f"t-{number}" for number in range(5)])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), TASKS, st.integers(0, 100)),
        st.tuples(st.just("forget"), TASKS, st.just(0)),
    )
)


@given(STEPS)
def test_every_task_is_looked_at_by_its_earliest_time(steps: list[tuple[str, str, int]]):
    wakings, earliest = Wakings(), {}
    for what, task_id, at_ms in steps:
        if what == "set":
            wakings.set(task_id, at_ms)
            earliest[task_id] = min(at_ms, earliest.get(task_id, at_ms))
        else:
            wakings.forget(task_id)
            earliest.pop(task_id, None)
    for now_ms in range(101):
        due = {task_id for task_id, at_ms in earliest.items() if at_ms == now_ms}
        assert sorted(wakings.take(now_ms)) == sorted(due)


def test_tasks_that_are_over_are_not_kept():
    wakings = Wakings()
    for number in range(10_000):
        wakings.set(f"t-{number}", 300_000)
        wakings.forget(f"t-{number}")
    assert len(wakings) < 2_000
    assert wakings.take(300_000) == []


def test_looking_again_and_again_is_kept_once():
    wakings = Wakings()
    for _ in range(1_000):
        wakings.set("t", 300_000)
    assert len(wakings) == 1


async def test_whoever_waits_is_woken_by_an_earlier_time():
    wakings = Wakings()
    wakings.set("late", 1_000_000)
    waiting = asyncio.ensure_future(wakings.wait(0))
    await asyncio.sleep(0)
    wakings.set("soon", 20)
    await asyncio.wait_for(waiting, 20)
    assert wakings.take(20) == ["soon"]
