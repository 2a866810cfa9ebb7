"""The oracle itself: what it is there to find, it finds."""

import asyncio

import msgspec
import pytest

from actors.bus import BusError, Message, Record
from schemas.codec import encode
from schemas.deliberation import Accepted
from schemas.result import Deliberation, Failure
from tests.faults.ledger import Ledger
from tests.faults.verdict import places

SEATS = ("a", "b")


class PlantedBus:
    """A system of two methods: accepts everything, and has stored and told what is planted."""

    def __init__(self, stored: list[str], told: list[str], deadline_ms: int = 2_000) -> None:
        self._stored, self._told, self._deadline_ms = stored, told, deadline_ms
        self.refusals = 0
        self._tell = None

    async def serve(self, _subject, handler, _queue=""):
        self._tell = handler
        return self

    async def close(self):
        pass

    async def request(self, subject, body, headers=None, timeout_s=5.0):  # noqa: ARG002
        if self.refusals:
            self.refusals -= 1
            raise BusError("nobody there")
        task_id = msgspec.json.decode(body)["task_id"]
        for status in self._told:
            await self._tell(Message("", b"", {"Nats-Subject": f"x.{status}.{task_id}"}))
        accepted = Accepted(
            task_id=task_id,
            status="PENDING",
            role="DEV",
            protocol="independent",
            seats=SEATS,
            accepted_at_ms=0,
            deadline_ms=self._deadline_ms,
        )
        return Message("", encode(accepted), {})

    async def scan(self, _stream, _subject, start=1, batch=256):  # noqa: ARG002
        outcome = Deliberation(
            task_id="fault-00000",
            role="DEV",
            protocol="independent",
            status="COMPLETED",
            failures=tuple(Failure(seat=seat, code="x") for seat in SEATS),
        )
        return [
            Record(f"deliberation.outcome.{status}.fault-00000", encode(outcome), {}, number, 2_500)
            for number, status in enumerate(self._stored, 1)
            if number >= start
        ]


async def verdict_of(bus, monkeypatch, seats=2):
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: sleep(0))
    async with Ledger(bus, seats=seats, timeout_s=5.0) as ledger:
        await ledger.send(1, 1_000.0)
        await ledger.settled(0.0)
        return ledger.verdict()


async def test_one_outcome_told_once_is_clean(monkeypatch):
    verdict = await verdict_of(PlantedBus(["completed"], ["completed"]), monkeypatch)
    assert verdict.clean
    assert verdict.outcomes == {"completed": 1}


async def test_a_missed_event_is_counted_and_no_fault(monkeypatch):
    verdict = await verdict_of(PlantedBus(["completed"], []), monkeypatch)
    assert verdict.clean
    assert verdict.events_missed == 1


async def test_an_accepted_deliberation_without_outcome_is_lost(monkeypatch):
    verdict = await verdict_of(PlantedBus([], []), monkeypatch)
    assert verdict.lost == ["fault-00000"]
    assert not verdict.clean


@pytest.mark.parametrize(
    ("stored", "told"),
    [(["completed", "timeout"], ["completed"]), (["completed"], ["completed", "completed"])],
    ids=["stored twice", "told twice"],
)
async def test_a_second_outcome_is_a_double(monkeypatch, stored, told):
    verdict = await verdict_of(PlantedBus(stored, told), monkeypatch)
    assert verdict.doubled == ["fault-00000"]
    assert not verdict.clean


async def test_an_outcome_after_the_deadline_is_late(monkeypatch):
    verdict = await verdict_of(PlantedBus(["timeout"], [], deadline_ms=1_000), monkeypatch)
    assert verdict.late == ["fault-00000"]
    assert verdict.latest_ms > 1_000
    assert not verdict.clean


@pytest.mark.parametrize(
    ("ended", "found"),
    [
        ([True, True], {}),
        ([False, False, True], {"prefix": 2}),
        ([True, False, True, True], {"middle": 1}),
        ([True, True, False], {"postfix": 1}),
        ([False, True, False, True, False], {"prefix": 1, "middle": 1, "postfix": 1}),
        ([False, False], {"prefix": 2}),
        ([], {}),
    ],
)
def test_what_is_lost_is_told_by_its_place(ended, found):
    assert places(ended) == found


async def test_load_lasts_as_long_as_its_block(monkeypatch):
    bus = PlantedBus([], [])
    async with Ledger(bus, seats=2, timeout_s=5.0) as ledger:
        async with ledger.load(1_000.0):
            while ledger.sent < 3:
                await asyncio.sleep(0)
        verdict = ledger.verdict()
    assert verdict.sent == verdict.accepted == ledger.sent


async def test_an_outcome_that_was_read_and_is_gone_is_lost(monkeypatch):
    class Forgetful(PlantedBus):
        async def scan(self, _stream, _subject, start=1, batch=256):
            found = await super().scan(_stream, _subject, start, batch)
            self._stored = []  # the server began anew
            return found

    verdict = await verdict_of(Forgetful(["completed"], ["completed"]), monkeypatch)
    assert verdict.lost == ["fault-00000"]


async def test_an_outcome_that_forgets_a_seat_is_found(monkeypatch):
    verdict = await verdict_of(PlantedBus(["completed"], []), monkeypatch, seats=3)
    assert verdict.seats_missing == ["fault-00000"]
    assert not verdict.clean


async def test_a_request_without_answer_is_repeated_under_the_same_id(monkeypatch):
    bus = PlantedBus(["completed"], ["completed"])
    bus.refusals = 2
    verdict = await verdict_of(bus, monkeypatch)
    assert (verdict.sent, verdict.accepted, verdict.repeated) == (1, 1, 1)
