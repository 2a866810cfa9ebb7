"""What a collector knows of open deliberations: a fold over what it reads, whoever wrote it."""

from itertools import count
from typing import Any

import pytest

from actors.bus import Record
from actors.deliberations.ongoing import Ongoing
from schemas.codec import encode
from schemas.deliberation import RoundOpened
from schemas.errors import BadMessage
from subjects import names
from tests.harness.builders import answer, opened

ROUND = RoundOpened(
    task_id="t-1", round=1, stage="ballot", seats=("s1",), heard=1, opened_at_ms=2_000
)


class Reading:
    """A stream in which records are stored and read one after the other."""

    def __init__(self) -> None:
        self.ongoing = Ongoing()
        self._sequences = count(1)

    def store(self, subject: str, message: Any) -> None:
        body = message if isinstance(message, bytes) else encode(message)
        record = Record(subject, body, {}, next(self._sequences), 1_500)
        self.ongoing.apply(subject.rpartition(".")[2], record)


@pytest.fixture
def reading() -> Reading:
    reading = Reading()
    reading.store(names.opened("t-1"), opened())
    return reading


def test_an_opening_begins_and_an_outcome_ends_a_deliberation(reading: Reading):
    assert list(reading.ongoing.states) == ["t-1"]
    reading.store(names.outcome("completed", "t-1"), b"whatever it says")
    assert not reading.ongoing.states
    assert reading.ongoing.folded.sequence == 2


def test_the_first_opening_of_a_task_stands(reading: Reading):
    first = reading.ongoing.states["t-1"]
    reading.store(names.opened("t-1"), opened(2))
    assert reading.ongoing.states["t-1"] is first


def test_an_opening_under_another_tasks_subject_is_refused(reading: Reading):
    with pytest.raises(BadMessage, match="not the one in the subject"):
        reading.store(names.opened("t-2"), opened())
    assert list(reading.ongoing.states) == ["t-1"]


def test_rounds_and_answers_change_the_state(reading: Reading):
    reading.store(names.agent_response("t-1"), answer("s1"))
    reading.store(names.round_opened("t-1"), ROUND)
    assert reading.ongoing.states["t-1"].round == ROUND
    assert reading.ongoing.round_sequence == {"t-1": 3}
    reading.store(names.outcome("completed", "t-1"), b"")
    assert not reading.ongoing.round_sequence


@pytest.mark.parametrize(
    ("task_id", "message", "why"),
    [
        ("t-1", b"{", "garbage"),
        ("t-2", answer("s1"), "wrong_task"),
    ],
)
def test_an_answer_that_is_none_is_refused_and_counted(
    reading: Reading, task_id: str, message: Any, why: str
):
    with pytest.raises(BadMessage):
        reading.store(names.agent_response(task_id), message)
    assert dict(reading.ongoing.refused) == {why: 1}


@pytest.mark.parametrize(
    ("task_id", "seat", "why"), [("t-1", "stranger", "wrong_seat"), ("t-9", "s1", "not_open")]
)
def test_an_answer_that_does_not_count_is_counted_by_its_reason(
    reading: Reading, task_id: str, seat: str, why: str
):
    reading.store(names.agent_response(task_id), answer(seat, task_id=task_id))
    assert dict(reading.ongoing.refused) == {why: 1}


def test_what_is_said_of_a_deliberation_that_is_not_open_is_ignored(reading: Reading):
    reading.store(names.round_opened("t-9"), ROUND)
    reading.store(names.outcome("completed", "t-9"), b"")
    assert reading.ongoing.ignored == 1
    assert list(reading.ongoing.states) == ["t-1"]


def test_what_was_ignored_of_a_deliberation_is_counted_when_it_is_over(reading: Reading):
    for _ in range(2):
        reading.store(names.agent_response("t-1"), answer("s1"))
    reading.store(names.outcome("completed", "t-1"), b"")
    assert reading.ongoing.ignored == 1
    assert dict(reading.ongoing.refused) == {"duplicate": 1}


def test_read_anew_it_knows_nothing(reading: Reading):
    reading.ongoing.clear()
    assert not reading.ongoing.states
    assert reading.ongoing.folded.last is None
