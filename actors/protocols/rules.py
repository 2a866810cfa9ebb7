"""What a protocol decides: what a seat is asked, what comes next, and who stands where."""

from typing import Any, Protocol

from msgspec import Struct

from actors.deliberations import prompts
from actors.deliberations.deliberation import Conclude, OpenRound, State
from schemas.agent import AgentResponse, Stage
from schemas.council import Seat


class Prompt(Struct, frozen=True):
    """What one seat is told beside the task: material of the round, instruction, answer's shape."""

    instruction: str
    materials: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None


def writing(state: State, instruction: str, *materials: str) -> Prompt:
    """What a seat is told that writes an answer of its own, in the shape the request wants."""
    request = state.opened.request
    wanted = prompts.proposal(instruction, closed=request.closed)
    return Prompt(wanted, materials, request.response_schema)


class Place(Struct, frozen=True):
    """An answer with its score in 0..1, and its author's other versions."""

    answer: AgentResponse
    score: float
    versions: tuple[AgentResponse, ...] = ()


class Standing(Struct, frozen=True):
    """Answers from best to worst, and why the first is first."""

    places: tuple[Place, ...]
    reason: str


class Rules(Protocol):
    """One way to deliberate, as pure functions of the events.

    When a round is settled (everybody answered, or quorum and grace, or time) is the same for
    all and stands in `actors/deliberations/rounds.py`.
    """

    first: Stage
    """What every seat is asked in round 0."""

    def prompt(self, state: State, seat: Seat) -> Prompt:
        """What `seat` is told in the round under way."""
        ...

    def decided(self, state: State) -> bool:
        """Whether nothing that is outstanding in this round can change the winner."""
        ...

    def next(self, state: State) -> OpenRound | Conclude:
        """What follows now that the round is settled."""
        ...

    def standing(self, state: State) -> Standing:
        """The ranking by what was said so far."""
        ...
