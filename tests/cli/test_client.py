from typing import Any

import pytest
from msgspec.structs import replace

from actors.asking import new_task_id, refused
from actors.bus import Message
from schemas.codec import encode
from schemas.deliberation import DeliberationRequest
from schemas.errors import Refused
from schemas.progress import SeatStarted, TextDelta
from schemas.result import Deliberation
from subjects import names
from supervisor.client import Client, event_in
from tests.harness.system import System

EVENT = SeatStarted(task_id="t", round=0, seat="a")
OUTCOME = Deliberation(task_id="t", role="X", protocol="independent", status="COMPLETED")
ERROR = {"Nats-Service-Error": "no such task", "Nats-Service-Error-Code": "404"}


def message(subject: str, body: Any, headers: dict[str, str] | None = None) -> Message:
    return Message(subject, body if isinstance(body, bytes) else encode(body), headers or {})


def asked(task_id: str) -> DeliberationRequest:
    return DeliberationRequest(task_description="How?", role="DEV", task_id=task_id)


def test_progress_and_outcomes_are_events():
    assert event_in(message(names.progress("t"), EVENT)) == EVENT
    assert event_in(message(names.COMPLETED, OUTCOME), "t") == OUTCOME


def test_the_outcome_of_another_task_is_no_event():
    assert event_in(message(names.COMPLETED, OUTCOME), "other") is None


@pytest.mark.parametrize(
    "body", [b'{"event":"vote_cast","task_id":"t"}', b"{}", b"", b"\xff", b'{"event":"delta"}']
)
def test_an_unknown_or_broken_event_is_ignored(body: bytes):
    assert event_in(message(names.progress("t"), body)) is None
    assert event_in(message(names.COMPLETED, body)) is None


def test_an_error_reply_becomes_the_error_it_carries():
    body = b'{"error":{"code":"unknown_task","message":"no such task","path":"$.task_id"}}'
    error = refused(message("", body, ERROR))
    assert (error.code, error.message, error.path) == ("unknown_task", "no such task", "$.task_id")


def test_an_error_of_a_foreign_service_keeps_its_headers():
    error = refused(message("", b"whatever", ERROR))
    assert (error.code, error.message) == ("404", "no such task")


def test_ids_of_later_requests_sort_after_earlier_ones_and_fit_a_subject():
    first, second = new_task_id(), new_task_id()
    assert first != second
    assert first[:12] <= second[:12]
    assert names.progress(first)


async def test_watching_sees_a_deliberation_from_its_first_seat_to_its_outcome(council: System):
    client = Client(council.client.bus)
    request = asked("t-1")
    async with client.watching("t-1") as events:
        accepted = await client.submit(request)
        seen = [event async for event in events]
    started = [event.seat for event in seen if isinstance(event, SeatStarted)]
    assert set(started) == set(accepted.seats)
    assert any(isinstance(event, TextDelta) for event in seen)
    assert isinstance(seen[-1], Deliberation)
    assert seen[-1].status == "COMPLETED"
    assert await client.get("t-1") == seen[-1]


async def test_a_refusal_is_raised_with_its_code(council: System):
    with pytest.raises(Refused, match="no deliberation nope") as caught:
        await Client(council.client.bus).get("nope")
    assert caught.value.code == "unknown_task"


async def test_text_left_out_of_a_truncated_outcome_is_fetched(council: System):
    client = Client(council.client.bus)
    await client.submit(asked("t-2"))
    whole = await client.wait("t-2")
    cut = tuple(
        replace(r, proposal=replace(r.proposal, content="")) if r.rank > 1 else r
        for r in whole.results
    )
    assert await client.whole(replace(whole, results=cut, truncated=True)) == whole
