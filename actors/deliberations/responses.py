"""What a stored response may do: answer for the seat and round that was asked, and nothing else.

Anybody who may publish can store a response, so each is held against what was asked. It counts,
or it changes nothing and is counted by the reason why. An answer that breaks its own schema but
carries the token of its request is that seat's failure: nobody waits for it any longer.
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from actors.deliberations.tokens import same, token
from schemas import codec
from schemas.agent import AgentRequest, AgentResponse, SeatFailure, Token
from schemas.council import Seat
from schemas.deliberation import Opened, RoundOpened
from schemas.errors import BadMessage
from schemas.types import Name, RoundNumber, TaskId
from schemas.version import UnsupportedVersion
from subjects import names

Objection = Literal[
    "garbage",
    "wrong_task",
    "not_open",
    "wrong_seat",
    "forged",
    "wrong_round",
    "late",
    "duplicate",
]
"""Why a response counts for nothing.

garbage      it is no `AgentResponse`
wrong_task   it names another task than its subject
not_open     the deliberation is over, or never was
wrong_seat   the deliberation has no such seat, or did not ask it in this round
forged       it lacks the token of the seat's request
wrong_round  that round has not been opened
late         that round is past
duplicate    the seat has answered in this round
"""

MAX_FOREIGN_TEXT: Final = 100_000
"""Characters that a foreign seat may write: as much as a task has, and few enough that a council
full of such seats stays below the default `max_payload`."""

MAX_TOKENS: Final = 100_000_000
"""Nobody reads or writes so many for one answer; more would drown every sum."""


class _Claim(Struct, frozen=True):
    """The part of a response by which it is recognised."""

    task_id: TaskId
    round: RoundNumber
    seat: Name
    token: Token


def message_id(request: AgentRequest) -> str:
    """The id under which a request's answer is stored."""
    return f"response.{request.task_id}.{request.round}.{request.seat}.{request.token}"


def read(body: bytes, headers: Mapping[str, str]) -> AgentResponse:
    """A stored response; the seat's failure if only its token can be read. Raises BadMessage."""
    try:
        return codec.read(AgentResponse, body, headers)
    except UnsupportedVersion:
        raise
    except BadMessage as error:
        try:
            claim = codec.read(_Claim, body, headers)
        except BadMessage:
            raise error from None
        text = f"{error.message} (at {error.path})"
        return AgentResponse(
            task_id=claim.task_id,
            round=claim.round,
            seat=claim.seat,
            token=claim.token,
            failure=SeatFailure(code="bad_answer", message=text[:2_000]),
        )


def objection(
    opened: Opened, rounds: tuple[RoundOpened, ...], known: bool, response: AgentResponse
) -> Objection | None:
    """Why a response does not count; `known` tells that its seat has answered in its round."""
    number = response.round
    if (against := _identity(opened, response)) is not None:
        return against
    if number >= len(rounds):
        return "wrong_round"
    if response.seat not in rounds[number].seats:
        return "wrong_seat"
    if known:
        return "duplicate"
    return "late" if number < len(rounds) - 1 else None


def _identity(opened: Opened, response: AgentResponse) -> Objection | None:
    task_id, number, seat = response.task_id, response.round, response.seat
    if task_id != opened.task_id:
        return "wrong_task"
    if seat not in {each.id for each in opened.seats}:
        return "wrong_seat"
    wanted = token(opened.secret, task_id, number, seat)
    return "forged" if wanted and not same(response.token, wanted) else None


def bounded(opened: Opened, response: AgentResponse) -> AgentResponse:
    """The response, or the seat's failure when it is more than a seat may say."""
    usage = response.usage
    most = max(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
    seat = next(each for each in opened.seats if each.id == response.seat)
    size = max(len(response.content), len(response.thinking))
    if is_foreign(seat) and size > MAX_FOREIGN_TEXT:
        text = f"{size} characters are over the limit of {MAX_FOREIGN_TEXT}"
        return _failed(response, "answer_too_large", text)
    if most > MAX_TOKENS:
        text = f"{most} tokens are over the limit of {MAX_TOKENS}"
        return _failed(response, "bad_answer", text)
    return response


def is_foreign(seat: Seat) -> bool:
    """Whether a foreign program holds the seat."""
    return seat.queue is not None and names.is_seat_queue(seat.queue)


def _failed(response: AgentResponse, code: str, message: str) -> AgentResponse:
    return AgentResponse(
        task_id=response.task_id,
        round=response.round,
        seat=response.seat,
        agent=response.agent,
        token=response.token,
        failure=SeatFailure(code=code, message=message),
    )
