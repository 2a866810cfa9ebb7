"""A checkpoint claims nothing that was not folded, and stays small."""

from hypothesis import given
from hypothesis import strategies as st

from actors.bus import Record
from actors.deliberations.checkpoint import MAX_LISTED, Folded, holds
from schemas.checkpoint import Checkpoint
from schemas.codec import decode, encode
from subjects import names

ROOM = 1_000_000


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
    assert Folded().checkpoint(ROOM) is None


def test_it_names_what_is_open_and_the_last_record_that_was_folded():
    told = folded(9, {"a": 2, "b": 5}).checkpoint(ROOM)
    assert told == Checkpoint(sequence=9, stored_ms=1_009, open={"a": 2, "b": 5})


def test_what_ended_is_not_named():
    state = folded(9, {"a": 2, "b": 5})
    state.ended("a")
    told = state.checkpoint(ROOM)
    assert told is not None
    assert told.open == {"b": 5}


def test_what_is_read_on_from_there_is_not_named_either():
    told = folded(5, {"a": 2, "b": 5}).checkpoint(ROOM)
    assert told is not None
    assert (told.sequence, told.open) == (5, {"a": 2})


def test_what_is_cleared_claims_nothing():
    state = folded(9, {"a": 2})
    state.clear()
    assert state.checkpoint(ROOM) is None


def test_of_too_many_the_oldest_are_named_and_reading_begins_at_the_next():
    """So that what is not named is read, however many are open and whatever fits."""
    state = folded(9, {"c": 7, "a": 2, "b": 5})
    told = state.checkpoint(2 * 100)
    assert told == Checkpoint(sequence=5, stored_ms=1_005, open={"a": 2})


def test_with_room_for_none_reading_begins_at_the_first_that_is_open():
    told = folded(9, {"a": 2, "b": 5}).checkpoint(0)
    assert told == Checkpoint(sequence=2, stored_ms=1_002)


def test_no_more_than_so_many_are_named_however_large_a_message_may_be():
    opened = {f"t-{number}": number for number in range(1, MAX_LISTED + 3)}
    told = folded(2 * MAX_LISTED, opened).checkpoint(2**30)
    assert told is not None
    assert len(told.open) == MAX_LISTED
    assert told.sequence == MAX_LISTED + 1


@given(
    opened=st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_-]{64}", fullmatch=True),
        st.integers(2**52, 2**53 - 1_000),
        max_size=30,
    ),
    last=st.integers(2**52, 2**53 - 1_000),
    max_bytes=st.integers(200, 4_000),
)
def test_whatever_is_open_it_is_read_back_and_fits(
    opened: dict[str, int], last: int, max_bytes: int
):
    told = folded(last, opened).checkpoint(max_bytes)
    assert told is not None
    body = encode(told)
    assert len(body) <= max_bytes
    assert decode(Checkpoint, body) == told
    unnamed = {at for task_id, at in opened.items() if task_id not in told.open and at <= last}
    assert told.sequence <= min(unnamed, default=last)


def test_it_holds_for_the_stream_where_that_very_record_lies():
    told = Checkpoint(sequence=9, stored_ms=1_009)
    assert holds(told, record(9))
    assert not holds(told, None)
    assert not holds(told, record(9, stored_ms=2_000))
    assert not holds(told, record(10, stored_ms=1_009))
