"""What the bus promises of what is read, over a real server and the played one."""

from collections.abc import Callable

import pytest

from actors.bus import NoResponders, Unavailable
from actors.bus.nats_bus import NatsBus
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.bus.messages import WORK, bodies, stored_work


class TestReads:
    async def test_the_last_message_of_each_subject_is_read(self, bus: NatsBus):
        for body in (b"old", b"new"):
            for role in ("DEV", "QA"):
                await bus.store(names.council_stored(role), body)
        records = await bus.last("COUNCILS", [names.ANY_COUNCIL])
        assert [(each.subject[-2:], each.body) for each in records] == [
            ("EV", b"new"),
            ("QA", b"new"),
        ]

    async def test_several_filters_are_read_in_one_go(self, bus: NatsBus):
        await bus.store(names.opened("t-1"), b"opened")
        await bus.store(names.outcome("failed", "t-1"), b"outcome")
        filters = [names.opened("t-1"), names.any_outcome_of("t-1")]
        assert bodies(await bus.last(DELIBERATIONS, filters)) == [b"opened", b"outcome"]

    async def test_an_answer_too_large_for_one_part_is_read_to_its_end(
        self, bus: NatsBus, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("actors.bus.nats_bus.PART_BYTES", 1_000)
        large, roles = bytes(400), [f"R{number:03d}" for number in range(20)]
        for role in roles:
            await bus.store(names.council_stored(role), large)
        newest = await bus.last("COUNCILS", [names.ANY_COUNCIL])
        onward = await bus.scan("COUNCILS", names.ANY_COUNCIL, 3, 15)
        assert [each.subject.rpartition(".")[2] for each in newest] == roles
        assert [each.subject.rpartition(".")[2] for each in onward] == roles[2:17]

    async def test_reading_from_no_stream_is_told_from_a_server_that_is_away(self, bus: NatsBus):
        with pytest.raises(NoResponders, match="there is no stream NOWHERE"):
            await bus.scan("NOWHERE", ">")

    async def test_nothing_stored_is_nothing_read(self, bus: NatsBus):
        assert await bus.last(DELIBERATIONS, [names.opened("t-1")]) == []
        assert await bus.scan(DELIBERATIONS, names.opened("t-1")) == []
        assert await bus.last_sequence(DELIBERATIONS) == 0

    async def test_a_scan_goes_forward_from_a_place(self, bus: NatsBus):
        await stored_work(bus, *(str(number).encode() for number in range(1, 9)))
        first = await bus.scan(DELIBERATIONS, WORK, 3, 4)
        rest = await bus.scan(DELIBERATIONS, WORK, first[-1].sequence + 1, 4)
        assert bodies(first + rest) == [b"3", b"4", b"5", b"6", b"7", b"8"]

    async def test_a_record_tells_place_time_and_headers(
        self, bus: NatsBus, wall_ms: Callable[[], int]
    ):
        before_ms = wall_ms()
        await bus.store(WORK, b"x", headers={"Colour": "red"})
        (record,) = await bus.scan(DELIBERATIONS, WORK)
        assert (record.subject, record.sequence) == (WORK, 1)
        assert record.headers["Colour"] == "red"
        assert before_ms - 1_000 <= record.stored_ms <= before_ms + 5_000

    async def test_a_stream_that_is_not_there_is_unavailable(self, bus: NatsBus):
        with pytest.raises(Unavailable):
            await bus.last("NOWHERE", ["x"])
