"""The oracle itself: what it is there to find, it finds."""

import asyncio

import msgspec
import pytest

from actors.bus import BusError, Message, Record
from schemas.codec import encode
from schemas.deliberation import Accepted
from schemas.result import Deliberation, Failure
from tests.faults.ledger import Ledger

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
    assert not verdict.clean


async def test_an_outcome_that_forgets_a_seat_is_found(monkeypatch):
    verdict = await verdict_of(PlantedBus(["completed"], []), monkeypatch, seats=3)
    assert verdict.seats_missing == ["fault-00000"]
    assert not verdict.clean


async def test_a_request_without_answer_is_repeated_under_the_same_id(monkeypatch):
    bus = PlantedBus(["completed"], ["completed"])
    bus.refusals = 2
    verdict = await verdict_of(bus, monkeypatch)
    assert (verdict.sent, verdict.accepted, verdict.repeated) == (1, 1, 1)
