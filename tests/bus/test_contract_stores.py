"""What the bus promises of what is stored, over a real server and the played one."""

import asyncio

import pytest

from actors.bus import Conflict, TooLarge, Unavailable
from actors.bus.nats_bus import NatsBus
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.bus.messages import WORK, appending
from tests.harness.events import until


class TestStore:
    async def test_the_receipt_is_the_place_in_the_stream(self, bus: NatsBus):
        receipts = [await bus.store(WORK, b"x") for _ in range(3)]
        assert [each.sequence for each in receipts] == [1, 2, 3]
        assert not any(each.duplicate for each in receipts)

    async def test_the_same_message_id_is_stored_once(self, bus: NatsBus):
        first = await bus.store(WORK, b"x", message_id="m-1")
        again = await bus.store(WORK, b"x", message_id="m-1")
        assert (again.sequence, again.duplicate) == (first.sequence, True)
        assert len(await bus.scan(DELIBERATIONS, WORK)) == 1

    async def test_only_one_of_many_writers_is_first(self, bus: NatsBus, other: NatsBus):
        subject = names.opened("t-1")
        writers = (
            each.store(subject, b"x", once=subject) for _ in range(20) for each in (bus, other)
        )
        results = await asyncio.gather(*writers, return_exceptions=True)
        assert sum(isinstance(each, Conflict) for each in results) == 39

    async def test_a_second_outcome_conflicts_whatever_its_status(self, bus: NatsBus):
        once = names.any_outcome_of("t-1")
        await bus.store(names.outcome("completed", "t-1"), b"x", once=once)
        for status in ("completed", "timeout", "cancelled"):
            with pytest.raises(Conflict):
                await bus.store(names.outcome(status, "t-1"), b"x", once=once)
        await bus.store(names.outcome("timeout", "t-2"), b"x", once=names.any_outcome_of("t-2"))

    async def test_a_refused_outcome_is_not_published(self, bus: NatsBus):
        heard: list[tuple[str, bytes]] = []
        await bus.serve("deliberation.*", appending(heard))
        once = names.any_outcome_of("t-1")
        await bus.store(names.outcome("completed", "t-1"), b"first", once=once)
        with pytest.raises(Conflict):
            await bus.store(names.outcome("timeout", "t-1"), b"second", once=once)
        await until(lambda: heard)
        assert await bus.healthy()
        assert heard == [("deliberation.completed", b"first")]

    async def test_a_change_is_stored_only_upon_what_was_read(self, bus: NatsBus):
        subject = names.council_stored("DEV")
        first = await bus.store(subject, b"1", once=subject)
        second = await bus.store(subject, b"2", once=subject, after=first.sequence)
        with pytest.raises(Conflict):
            await bus.store(subject, b"3", once=subject, after=first.sequence)
        await bus.store(subject, b"3", once=subject, after=second.sequence)

    async def test_what_is_too_large_is_refused_before_it_is_sent(self, bus: NatsBus):
        with pytest.raises(TooLarge):
            await bus.store(WORK, b"x" * (bus.max_payload + 1))
        assert await bus.last_sequence(DELIBERATIONS) == 0

    async def test_a_subject_that_no_stream_stores_is_unavailable(
        self, bus: NatsBus, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("actors.bus.nats_bus.STORE_DEADLINE_S", 0.3)
        with pytest.raises(Unavailable):
            await bus.store("stored.nowhere", b"x")
