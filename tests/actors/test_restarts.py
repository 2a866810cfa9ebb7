"""A collector that starts reads only what it must, and knows the same as if it had read all."""

import asyncio
from typing import Any

import pytest

from actors.bus import Record
from actors.clock import now_ms
from actors.councils.defaults import default_councils
from actors.deliberations.collector import FILTERS, Collector
from actors.deliberations.deliberation import State
from actors.settings import Limits
from schemas.agent import AgentResponse
from schemas.checkpoint import Checkpoint
from schemas.codec import decode, encode
from schemas.deliberation import DeliberationRequest, Opened
from schemas.version import SCHEMA_HEADERS
from subjects import names
from subjects.streams import CHECKPOINTS, DELIBERATIONS, streams
from tests.harness.events import until, until_async
from tests.harness.system import System

SEATS = default_councils()[0].seats


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch):
    """Store checkpoints so often that nobody waits for one."""
    monkeypatch.setattr("actors.deliberations.checkpoint.EVERY_S", 0.02)


async def opened(
    system: System, task_id: str, *, seats: int = 3, timeout_s: float = 30.0, **request: Any
) -> None:
    """Store an opening as a dispatcher does."""
    now = now_ms()
    asked = DeliberationRequest(task_description="Add retries", role="DEV", **request)
    event = Opened(
        task_id=task_id,
        request=asked,
        seats=SEATS[:seats],
        opened_at_ms=now,
        deadline_ms=now + int(timeout_s * 1_000),
    )
    await system.client.bus.store(names.opened(task_id), encode(event))


async def answered(system: System, task_id: str, *seats: int, in_round: int = 0) -> None:
    """Store answers as agents do."""
    for seat in seats:
        answer = AgentResponse(
            task_id=task_id, round=in_round, seat=SEATS[seat].id, content=f"keep ledger {seat}"
        )
        await system.client.bus.store(names.agent_response(task_id), encode(answer))


async def checkpoint(system: System) -> Record | None:
    kept = await system.client.bus.last(CHECKPOINTS, [names.CHECKPOINT])
    return kept[0] if kept else None


async def checkpointed(system: System) -> Checkpoint:
    """The checkpoint, when it is of all that is stored for collectors."""
    collector = next(each for each, _ in system._running if isinstance(each, Collector))
    *_, last = await system.client.bus.last(DELIBERATIONS, FILTERS)
    await until(lambda: collector._told >= last.sequence)

    async def is_stored() -> bool:
        found = await checkpoint(system)
        told = collector._ongoing.folded.checkpoint()
        return found is not None and decode(Checkpoint, found.body) == told

    await until_async(is_stored)
    found = await checkpoint(system)
    assert found is not None
    return decode(Checkpoint, found.body)


async def forgotten(system: System) -> None:
    """Let the checkpoint be lost."""
    await system.client.bus.api(f"STREAM.PURGE.{CHECKPOINTS}", {})


def states(collector: Any) -> dict[str, State]:
    return dict(collector._ongoing.states)


def rounds(collector: Any, task_id: str) -> int:
    """How many rounds a collector knows of a deliberation; none if it has not read of it yet."""
    state = states(collector).get(task_id)
    return 0 if state is None else len(state.rounds)


async def in_different_rounds(system: System, collector: Any) -> None:
    """One not begun, one half answered, one in its second round, one with nonsense in it."""
    await opened(system, "new")
    await opened(system, "half")
    await answered(system, "half", 0, 2)
    await opened(system, "late", seats=1, protocol="synthesized")
    await answered(system, "late", 0)
    await opened(system, "odd")
    await answered(system, "odd", 0, 0)
    await answered(system, "odd", 1, in_round=7)
    await system.client.bus.store(names.agent_response("odd"), b"nope")
    await until(lambda: rounds(collector, "late") == 2)


async def test_with_a_checkpoint_it_knows_what_it_would_have_read_without(system: System):
    first = await system.add("collector")
    await opened(system, "over", seats=1, protocol="independent")
    await answered(system, "over", 0)
    await system.client.outcome("over")
    await in_different_rounds(system, first)
    await checkpointed(system)
    known = states(first)
    await system.crash(first)
    with_it = await system.add("collector", "collector-2")
    assert with_it._begun.is_whole
    assert states(with_it) == known
    assert with_it._ongoing.round_sequence == first._ongoing.round_sequence
    await system.crash(with_it)
    await forgotten(system)
    without = await system.add("collector", "collector-3")
    assert not without._begun.is_whole
    assert states(without) == known


async def test_what_it_read_by_a_checkpoint_it_brings_to_its_end(system: System):
    first = await system.add("collector")
    await in_different_rounds(system, first)
    await checkpointed(system)
    await system.crash(first)
    await answered(system, "half", 1)
    second = await system.add("collector", "collector-2")
    assert second._begun.is_whole
    await answered(system, "late", 0, in_round=1)
    await until(lambda: rounds(second, "half") == 2)
    result = await system.client.outcome("late")
    assert (result.status, result.winner_id) == ("COMPLETED", SEATS[0].id)
    stored = await system.client.bus.scan(DELIBERATIONS, names.round_opened("late"))
    assert len(stored) == 1


async def test_what_happened_after_the_checkpoint_counts(system: System):
    first = await system.add("collector")
    await opened(system, "ended", seats=1, protocol="independent")
    await opened(system, "begun", seats=2, protocol="independent")
    await checkpointed(system)
    kept = await checkpoint(system)
    await answered(system, "ended", 0)
    await system.client.outcome("ended")
    await answered(system, "begun", 0)
    await opened(system, "younger", seats=1, protocol="independent")
    await checkpointed(system)
    await system.crash(first)
    assert kept is not None
    await system.client.bus.store(names.CHECKPOINT, kept.body)  # of one that lagged
    second = await system.add("collector", "collector-2")
    assert second._begun.is_whole
    assert set(states(second)) == {"begun", "younger"}
    await answered(system, "begun", 1)
    await answered(system, "younger", 0)
    assert (await system.client.outcome("younger")).status == "COMPLETED"
    assert len((await system.client.outcome("begun")).results) == 2
    assert len(system.client.outcomes["ended"]) == 1


async def test_who_leaves_in_good_order_leaves_nothing_to_read(system: System, monkeypatch):
    monkeypatch.setattr("actors.deliberations.checkpoint.EVERY_S", 60.0)
    first = await system.add("collector")
    await opened(system, "open")
    await until(lambda: states(first))
    await system.stop(first)

    async def is_kept() -> bool:
        kept = await checkpoint(system)
        return kept is not None and decode(Checkpoint, kept.body).sequence == 1

    await until_async(is_kept)


async def test_an_outage_longer_than_any_deadline_ends_what_was_open_before_and_since(
    system: System,
):
    for kind in ("registry", "dispatcher"):
        await system.add(kind)
    first = await system.add("collector")
    before = await system.client.ask(constraints={"timeout_seconds": 0.4})
    await answered(system, before.task_id, 0)
    await checkpointed(system)
    await system.crash(first)
    since = await system.client.ask(constraints={"timeout_seconds": 0.4})
    await until(lambda: now_ms() > since.deadline_ms + 100)
    second = await system.add("collector", "collector-2", Limits(max_timeout_seconds=0.1))
    assert second._begun.is_whole
    for each in (before, since):
        assert (await system.client.outcome(each.task_id)).status == "TIMEOUT"


async def test_before_what_was_left_behind_is_ended_no_checkpoint_hides_it(
    system: System, monkeypatch
):
    """It was left behind by an outage that no checkpoint bridged, and is not among what is open."""
    await opened(system, "left", timeout_s=0.2)
    await opened(system, "new")
    monkeypatch.setattr("actors.deliberations.collector.end_leftovers", _never)
    first = await system.add("collector", limits=Limits(max_timeout_seconds=0.001))
    await until(lambda: first._begun.since_ms)
    await first._store_checkpoint()
    assert await checkpoint(system) is None


async def _never(*_: Any) -> int:
    await asyncio.Event().wait()
    return 0


async def test_before_garbage_is_set_aside_no_checkpoint_goes_past_it(system: System, monkeypatch):
    monkeypatch.setattr("actors.deliberations.collector.set_aside", _never)
    collector = await system.add("collector")
    await opened(system, "open")
    told = await checkpointed(system)
    stored = await system.client.bus.store(names.agent_response("open"), b"nope")
    await until(lambda: collector._ongoing.folded.sequence == stored.sequence)
    await collector._store_checkpoint()
    await system.client.bus.healthy()
    kept = await checkpoint(system)
    assert kept is not None
    assert decode(Checkpoint, kept.body) == told


async def test_a_checkpoint_of_a_stream_that_was_made_anew_is_not_used(system: System):
    first = await system.add("collector")
    for number in range(3):
        await opened(system, f"lost-{number}")
    await checkpointed(system)
    await system.crash(first)
    await system.client.bus.api(f"STREAM.DELETE.{DELIBERATIONS}", {})
    for stream in streams(max_age_s=0, max_bytes=-1, replicas=1):
        await system.client.bus.ensure(stream)
    for number in range(4):
        await opened(system, f"new-{number}", seats=1, protocol="independent")
    second = await system.add("collector", "collector-2")
    assert not second._begun.is_whole
    await answered(system, "new-0", 0)
    assert (await system.client.outcome("new-0")).status == "COMPLETED"
    assert set(states(second)) == {"new-1", "new-2", "new-3"}


async def test_a_collector_whose_stream_is_made_anew_goes_on_writing_checkpoints(system: System):
    collector = await system.add("collector")
    for number in range(3):
        await opened(system, f"lost-{number}")
    before = await checkpointed(system)
    await system.client.bus.api(f"STREAM.DELETE.{DELIBERATIONS}", {})
    for stream in streams(max_age_s=0, max_bytes=-1, replicas=1):
        await system.client.bus.ensure(stream)
    await opened(system, "new")
    await until(lambda: set(states(collector)) == {"new"})
    assert await checkpointed(system) != before


UNUSABLE = {
    "bytes that are no JSON": (b"\xff\xfe", SCHEMA_HEADERS),
    "nothing at all": (b"", SCHEMA_HEADERS),
    "nested without end": (b"[" * 100_000, SCHEMA_HEADERS),
    "no checkpoint": (b'{"open": {}}', SCHEMA_HEADERS),
    "no sequence": (b'{"sequence":0,"stored_ms":1}', SCHEMA_HEADERS),
    "a sequence that is not there yet": (b'{"sequence":99,"stored_ms":1}', SCHEMA_HEADERS),
    "another time": (b'{"sequence":1,"stored_ms":1}', SCHEMA_HEADERS),
    "another major version": (b'{"sequence":1,"stored_ms":1}', {"Conclave-Schema": "2.0"}),
}


@pytest.mark.parametrize("what", UNUSABLE)
async def test_a_checkpoint_that_is_of_no_use_is_not_used(system: System, what: str):
    body, headers = UNUSABLE[what]
    await opened(system, "open", seats=1, protocol="independent")
    await system.client.bus.store(names.CHECKPOINT, body, headers=headers)
    collector = await system.add("collector")
    assert not collector._begun.is_whole
    await answered(system, "open", 0)
    assert (await system.client.outcome("open")).status == "COMPLETED"


async def test_without_a_stream_for_checkpoints_it_does_without(system: System):
    await system.client.bus.api(f"STREAM.DELETE.{CHECKPOINTS}", {})
    collector = await system.add("collector")
    await opened(system, "open", seats=1, protocol="independent")
    await answered(system, "open", 0)
    assert (await system.client.outcome("open")).status == "COMPLETED"
    await collector._store_checkpoint()
    assert not collector.failed.is_set()


async def test_where_the_oldest_opening_is_stored_no_longer_all_is_read(system: System):
    first = await system.add("collector")
    await opened(system, "gone")
    await opened(system, "open")
    await checkpointed(system)
    await system.crash(first)
    await system.client.bus.api(f"STREAM.PURGE.{DELIBERATIONS}", {"filter": names.opened("gone")})
    second = await system.add("collector", "collector-2")
    assert not second._begun.is_whole
    assert set(states(second)) == {"open"}
