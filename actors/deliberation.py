"""A deliberation as a fold over its events: what is known, and whether it is over.

No input or output, no clock, no randomness. The same events give the same state, so a
deliberation can be tested without NATS, rebuilt after a crash and replayed later.
"""

from msgspec import Struct
from msgspec.structs import replace

from schemas.agent import AgentResponse
from schemas.deliberation import Opened, Status


class State(Struct, frozen=True):
    """What the events up to now say. `answers` holds one response per round and seat."""

    opened: Opened
    round: int = 0
    """The last round that was asked; nobody answers ahead of it."""
    answers: tuple[AgentResponse, ...] = ()
    over: bool = False
    ignored: int = 0
    """Responses that changed nothing: doubles, strangers, late and early ones."""

    def answer_of(self, seat: str, round_number: int) -> AgentResponse | None:
        """What `seat` said in a round, a failure included; None while it is silent."""
        for answer in self.answers:
            if answer.seat == seat and answer.round == round_number:
                return answer
        return None


class Conclude(Struct, frozen=True):
    """The decision to end a deliberation, and the sentence why, if it is no success."""

    status: Status
    reason: str = ""


def begin(opened: Opened) -> State:
    """The state after the first event."""
    return State(opened)


def respond(state: State, response: AgentResponse) -> State:
    """The state after a seat's response: the first per round and seat counts, the rest do not."""
    known = any(seat.id == response.seat for seat in state.opened.seats)
    early = response.round > state.round
    said = state.answer_of(response.seat, response.round) is not None
    if state.over or not known or early or said:
        return replace(state, ignored=state.ignored + 1)
    return replace(state, answers=(*state.answers, response))


def end(state: State) -> State:
    """The state after the outcome is stored, by whomever."""
    return replace(state, over=True)
