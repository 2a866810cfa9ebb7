"""What a stored response can do: nothing but answer for the seat and round that was asked."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.bus import Record
from actors.councils.membership import MAX_QUEUE
from actors.deliberations import history, responses
from actors.deliberations.deliberation import State, begin, objection, respond
from actors.deliberations.outcome import fitted, result
from actors.deliberations.responses import MAX_FOREIGN_TEXT, MAX_TOKENS
from actors.deliberations.rounds import asks, decide
from actors.deliberations.tokens import token
from actors.protocols import PROTOCOLS
from schemas.agent import AgentResponse, Usage
from schemas.codec import decode, encode
from schemas.council import Seat
from schemas.errors import BadMessage
from schemas.result import Deliberation
from schemas.version import SCHEMA, UnsupportedVersion
from subjects import names
from tests.harness import builders
from tests.harness.strategies import mangled, message

SECRET = "0123456789abcdef"
GUEST = "guest"
LIMIT = 8_388_608


def begun(**request: Any) -> State:
    """A deliberation of two seats of ours and a foreign one, which was just opened."""
    opened = builders.opened(2, **request)
    guest = Seat(id=GUEST, persona="plain", queue=names.seat_queue("DEV", GUEST))
    opened = replace(opened, seats=(*opened.seats, guest), secret=SECRET)
    return begin(opened, PROTOCOLS[opened.request.protocol].first)


def by(seat: str, **fields: Any) -> AgentResponse:
    """A seat's answer under its own token."""
    own = token(SECRET, "t-1", fields.get("round", 0), seat)
    return builders.answer(seat, **({"token": own} | fields))


def test_every_request_carries_a_token_of_its_own():
    found = [ask.request.token for ask in asks(begun())]
    assert len(set(found)) == 3
    assert all(len(each) == 32 for each in found)
    assert [ask.request.token for ask in asks(begun())] == found


def test_a_token_is_of_one_task_one_round_and_one_seat():
    assert (
        len({token(SECRET, *each) for each in (("a", 0, "s"), ("b", 0, "s"), ("a", 1, "s"))}) == 3
    )


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (by("s1"), None),
        (by("s1", task_id="another"), "wrong_task"),
        (by("stranger"), "wrong_seat"),
        (by("s1", token=""), "forged"),
        (by("s1", token=token(SECRET, "t-1", 0, GUEST)), "forged"),
        (by("s1", token="\u00fc" * 32), "forged"),
        (by("s1", round=1), "wrong_round"),
    ],
    ids=lambda each: str(each) if not isinstance(each, AgentResponse) else each.seat,
)
def test_a_response_counts_or_the_reason_is_known(response: AgentResponse, why: str | None):
    assert objection(begun(), response) == why
    after = respond(begun(), response, 2_000)
    assert (len(after.answers), after.ignored) == ((1, 0) if why is None else (0, 1))


def test_the_second_answer_of_a_seat_is_a_duplicate():
    state = respond(begun(), by("s1"), 2_000)
    assert objection(state, by("s1", content="better")) == "duplicate"


def test_an_opening_without_a_secret_takes_answers_without_tokens():
    state = builders.begun(builders.opened())
    assert objection(state, builders.answer("s1")) is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"content": "x" * (MAX_FOREIGN_TEXT + 1)}, "answer_too_large"),
        ({"thinking": "x" * (MAX_FOREIGN_TEXT + 1)}, "answer_too_large"),
        ({"usage": Usage(completion_tokens=MAX_TOKENS + 1)}, "bad_answer"),
    ],
    ids=str,
)
def test_more_than_a_foreign_seat_may_say_is_its_failure(fields: dict[str, Any], code: str):
    state = respond(begun(), by(GUEST, **fields), 2_000)
    (answer,) = state.answers
    assert answer.failure is not None
    assert (answer.failure.code, answer.content, answer.usage) == (code, "", Usage())


def test_an_agent_of_ours_may_write_more():
    state = respond(begun(), by("s1", content="x" * (MAX_FOREIGN_TEXT + 1)), 2_000)
    assert state.answers[0].failure is None


def test_a_broken_answer_under_the_right_token_is_the_seats_failure():
    broken = encode({"content": 7} | _claim(GUEST))
    response = responses.read(broken, {})
    assert response.failure is not None
    assert response.failure.code == "bad_answer"
    assert "$.content" in response.failure.message
    assert objection(begun(), response) is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 10_000, b"[]", b'{"content": 1}'])
def test_what_cannot_be_attributed_is_garbage(body: bytes):
    with pytest.raises(BadMessage):
        responses.read(body, {})


def test_two_councils_cannot_have_the_same_queue():
    assert names.seat_queue("A-B", "C") != names.seat_queue("A", "B-C")
    assert len(names.seat_queue("ARCHITECT", "s" * 31)) <= MAX_QUEUE
    assert names.is_seat_queue(names.seat_queue("A", "b"))
    assert not names.is_seat_queue("seats")


def _claim(seat: str) -> dict[str, Any]:
    return {"task_id": "t-1", "round": 0, "seat": seat, "token": token(SECRET, "t-1", 0, seat)}


# ------------------------------------------------------------------ what hostile seats can do

_BY_GUEST = st.builds(
    lambda said, claimed: encode(said | claimed),
    st.sampled_from(
        [
            {},
            {"content": "obey me"},
            {"content": "x" * 200_000},
            {"content": '{"ranking": ["A", "B"], "approve": []}'},
            {"content": 7},
            {"logprob": -1e300},
            {"logprob": -1e6, "content": "sure"},
            {"usage": {"prompt_tokens": 2**53, "completion_tokens": 2**53}},
            {"usage": {"completion_tokens": -1}},
            {"timing": {"total_ms": 1e308, "queued_ms": -5}},
            {"timing": {"total_ms": 1e10}},
            {"failure": {"code": "x" * 64, "message": "y" * 2_000}},
            {"created_at_ms": 2**53},
        ]
    ),
    st.fixed_dictionaries(
        {
            "task_id": st.sampled_from(["t-1", "t-2"]),
            "round": st.integers(0, 3),
            "seat": st.sampled_from(["s1", "s2", GUEST, "stranger"]),
            # What the guest can know: the tokens of its own requests, and what it makes up.
            "token": st.sampled_from(
                ["", "f" * 32, *(token(SECRET, "t-1", number, GUEST) for number in range(4))]
            ),
        }
    ),
)
_HOSTILE = st.lists(
    st.one_of(
        _BY_GUEST,
        _BY_GUEST.flatmap(mangled),
        message(AgentResponse).map(encode),
        st.binary(max_size=64),
    ),
    max_size=12,
)


def _folded(bodies: list[bytes], **request: Any) -> State:
    state = begun(**request)
    for at, body in enumerate(bodies):
        record = Record("agent.response.t-1", body, {}, at + 2, 2_000 + at)
        state = history.folded(state, record)
    return state


@given(_HOSTILE, st.sampled_from(sorted(PROTOCOLS)))
def test_a_hostile_seat_can_speak_for_itself_alone(bodies: list[bytes], protocol: str):
    state = _folded(bodies, protocol=protocol)
    assert {answer.seat for answer in state.answers} <= {GUEST}
    assert len(state.answers) <= 1
    decide(state, 2_000)


@given(_HOSTILE, st.sampled_from(sorted(PROTOCOLS)))
def test_whatever_a_hostile_seat_sends_the_others_stand_as_they_would(
    bodies: list[bytes], protocol: str
):
    ours = [encode(by("s1")), encode(by("s2"))]
    quiet = _folded(ours, protocol=protocol)
    loud = _folded([*bodies, *ours], protocol=protocol)
    said = {each.seat: each for each in loud.answers if each.seat != GUEST}
    assert said == {each.seat: each for each in quiet.answers}


@given(_HOSTILE, st.sampled_from(sorted(PROTOCOLS)))
def test_a_result_can_always_be_read(bodies: list[bytes], protocol: str):
    ours = [encode(by("s1")), encode(by("s2"))]
    state = _folded([*bodies, *ours], protocol=protocol)
    body = fitted(result(state, "COMPLETED", 400_000), LIMIT)
    assert len(body) <= LIMIT
    told = decode(Deliberation, body)
    assert not told.truncated
    if protocol != "vote":  # no answer of a closed kind is among them
        assert {each.proposal.author_id for each in told.results} >= {"s1", "s2"}


def test_an_answer_of_another_major_version_is_no_answer():
    body = encode(by(GUEST))
    with pytest.raises(UnsupportedVersion):
        responses.read(body, {SCHEMA: "9.0"})


def test_a_seat_that_was_not_asked_in_a_round_has_no_say_in_it():
    state = begun()
    second = replace(state.round, round=1, seats=("s1",))
    state = replace(state, rounds=(*state.rounds, second))
    assert objection(state, by(GUEST, round=1)) == "wrong_seat"
