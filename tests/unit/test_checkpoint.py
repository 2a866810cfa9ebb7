"""A checkpoint claims nothing that was not folded."""

from actors.bus import Record
from actors.deliberations.checkpoint import Folded, holds
from schemas.checkpoint import Checkpoint
from subjects import names


def record(sequence: int, task_id: str = "t-1", *, stored_ms: int = 0) -> Record:
    return Record(names.opened(task_id), b"", {}, sequence, stored_ms or 1_000 + sequence)


def folded(last: int, opened: dict[str, int]) -> Folded:
    """Folded up to `last`, with these openings by task."""
    result = Folded()
    for task_id, sequence in opened.items():
        result.began(task_id, record(sequence, task_id))
    result.last = record(last)
    return result


def test_where_nothing_is_folded_there_is_nothing_to_claim():
    assert Folded().checkpoint() is None


def test_it_is_the_oldest_opening_of_what_is_open():
    assert folded(9, {"b": 5, "a": 2}).checkpoint() == Checkpoint(sequence=2, stored_ms=1_002)


def test_what_ended_does_not_hold_it_back():
    state = folded(9, {"a": 2, "b": 5})
    state.ended("a")
    assert state.checkpoint() == Checkpoint(sequence=5, stored_ms=1_005)
    state.ended("b")
    assert state.checkpoint() == Checkpoint(sequence=9, stored_ms=1_009)


def test_what_is_cleared_claims_nothing():
    state = folded(9, {"a": 2})
    state.clear()
    assert state.checkpoint() is None


def test_it_holds_for_the_stream_where_that_very_record_lies():
    told = Checkpoint(sequence=9, stored_ms=1_009)
    assert holds(told, record(9))
    assert not holds(told, None)
    assert not holds(told, record(9, stored_ms=2_000))
    assert not holds(told, record(10, stored_ms=1_009))
