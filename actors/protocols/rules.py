"""What a protocol decides: whom to ask what, when it is over, and who stands where."""

from typing import Protocol

from msgspec import Struct

from actors.deliberation import Conclude, State
from schemas.agent import AgentRequest, AgentResponse
from schemas.deliberation import Opened


class Ask(Struct, frozen=True):
    """A request for one seat and the queue of the agents that serve it."""

    queue: str
    request: AgentRequest


class Place(Struct, frozen=True):
    """An answer with its score in 0..1."""

    answer: AgentResponse
    score: float


class Standing(Struct, frozen=True):
    """Answers from best to worst, and why the first is first."""

    places: tuple[Place, ...]
    reason: str


class Rules(Protocol):
    """One way to deliberate, as pure functions of the events."""

    def asks(self, opened: Opened) -> tuple[Ask, ...]:
        """The requests that begin the deliberation, one per seat."""
        ...

    def decide(self, state: State) -> Conclude | None:
        """Whether it is over by what was said; time is not asked about here."""
        ...

    def standing(self, state: State) -> Standing:
        """The ranking by what was said so far."""
        ...
