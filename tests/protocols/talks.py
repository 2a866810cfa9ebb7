"""Deliberations told by hand, event after event, without bus or clock."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

from msgspec.structs import replace

from actors.deliberations import ballots, outcome
from actors.deliberations.deliberation import Conclude, OpenRound, State, advance, begin, respond
from actors.deliberations.rounds import decide
from actors.protocols import PROTOCOLS, election
from actors.protocols.rules import Standing
from schemas.agent import AgentResponse
from schemas.deliberation import RoundOpened, Status
from schemas.result import Deliberation
from tests.harness.builders import answer, failure, opened

NOW = 1_000
SEATS = ("s1", "s2", "s3")
DONE = Conclude("COMPLETED")


def start(protocol: str = "ranked", seats: int = 3, **request: Any) -> State:
    """A deliberation in which nobody has spoken yet."""
    return begin(opened(seats, protocol=protocol, **request), PROTOCOLS[protocol].first)


def heard(state: State, *answers: AgentResponse, at_ms: int = NOW) -> State:
    return reduce(lambda told, each: respond(told, each, at_ms), answers, state)


def say(state: State, seat: str, text: str = "", **fields: Any) -> State:
    """The state after a seat's answer in the round under way."""
    return heard(state, answer(seat, text, round=state.round.round, **fields))


def answered(state: State, *said: str) -> State:
    """The state after a closed answer of every seat."""
    for seat, text in zip(state.round.seats, said, strict=True):
        state = say(state, seat, f"answer: {text}")
    return state


def fail(state: State, seat: str) -> State:
    return heard(state, replace(failure(seat), round=state.round.round))


def all_say(state: State, text: Callable[[str], str] = "a proposal by {}".format) -> State:
    return reduce(lambda told, seat: say(told, seat, text(seat)), state.round.seats, state)


def step(state: State, now_ms: int = NOW) -> OpenRound | Conclude | None:
    return decide(state, now_ms).command


def go_on(state: State, now_ms: int = NOW) -> State:
    """The state after the round that must be opened now."""
    command = step(state, now_ms)
    assert isinstance(command, OpenRound), command
    return advance(state, opening_of(state, command, now_ms))


def opening_of(state: State, command: OpenRound, now_ms: int = NOW) -> RoundOpened:
    return RoundOpened(
        task_id=state.opened.task_id,
        round=state.round.round + 1,
        stage=command.stage,
        seats=command.seats,
        heard=len(state.answers),
        opened_at_ms=now_ms,
    )


def proposed(seats: int = 3, protocol: str = "ranked", **request: Any) -> State:
    """Every seat has proposed, and the vote is open."""
    return go_on(all_say(start(protocol, seats, **request)))


def labels(state: State, voter: str) -> dict[str, str]:
    """Label → candidate, as the voter sees them in the round under way."""
    drawn_by = ballots.seed(state.opened.task_id, state.round.round, voter)
    return ballots.labels(drawn_by, election.on_ballot(state, voter))


def paper(state: State, voter: str, best: Sequence[str], approve: Iterable[str] = ()) -> str:
    """A ballot as its voter writes it; candidates not named in `best` follow in order."""
    shown = {name: label for label, name in labels(state, voter).items()}
    order = [name for name in best if name in shown]
    order += [name for name in shown if name not in order]
    approved = [shown[name] for name in approve if name in shown]
    return json.dumps({"ranking": [shown[name] for name in order], "approve": approved})


def vote(state: State, voter: str, *best: str, approve: Iterable[str] = (), **more: Any) -> State:
    """The state after a ballot; `best` names authors of round 0, best first."""
    names = [f"{seat}#0" for seat in best]
    text = paper(state, voter, names, [f"{seat}#0" for seat in approve])
    return say(state, voter, text, **more)


def voted(protocol: str = "synthesized", **request: Any) -> State:
    """Three ballots for s2 before s3 before s1 are in."""
    state = proposed(3, protocol, **request)
    for seat in SEATS:
        state = vote(state, seat, "s2", "s3", "s1")
    return state


def standing(state: State) -> Standing:
    return PROTOCOLS[state.opened.request.protocol].standing(state)


def order(state: State) -> list[str]:
    """The seats from first to last as things stand."""
    return [place.answer.seat for place in standing(state).places]


def whole(state: State, status: Status = "COMPLETED") -> Deliberation:
    """The result as it would be told now."""
    return outcome.result(state, status, 2_000)
