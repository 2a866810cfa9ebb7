"""What a deliberation cost, stage by stage and seat by seat, and what stopping early saved."""

from collections.abc import Iterable, Sequence

from actors.deliberations.deliberation import State
from actors.protocols import vote
from schemas.agent import AgentResponse, Usage
from schemas.deliberation import RoundOpened
from schemas.result import SeatCost, StageCost


def total(answers: Iterable[AgentResponse]) -> Usage:
    """The tokens of all answers together."""
    return sum((answer.usage for answer in answers), Usage())


def stages(state: State, ended_ms: int) -> tuple[StageCost, ...]:
    """The cost of each round; a round lasts until the next one opens, the last until `ended_ms`."""
    ends = [*(opened.opened_at_ms for opened in state.rounds[1:]), ended_ms]
    return tuple(
        _stage(opened, state.answers_in(opened.round), end)
        for opened, end in zip(state.rounds, ends, strict=True)
    )


def _stage(opened: RoundOpened, said: Sequence[AgentResponse], ended_ms: int) -> StageCost:
    good = [answer for answer in said if answer.failure is None]
    return StageCost(
        round=opened.round,
        stage=opened.stage,
        asked=len(opened.seats),
        answered=len(good),
        usage=total(said),
        queued_ms=_mean([answer.timing.queued_ms for answer in good]),
        first_token_ms=_mean([answer.timing.first_token_ms for answer in good]),
        total_ms=_mean([answer.timing.total_ms for answer in good]),
        duration_ms=max(ended_ms - opened.opened_at_ms, 0),
    )


def seats(state: State) -> tuple[SeatCost, ...]:
    """The cost of each seat in each round, in the order of rounds and seats."""
    return tuple(
        SeatCost(seat=each.seat, round=each.round, usage=each.usage, timing=each.timing)
        for opened in state.rounds
        for each in state.answers_in(opened.round)
    )


def saved_tokens(state: State) -> int:
    """Completion tokens not written because the round was settled or the result certain.

    An estimate: texts cut short or never asked for, times the mean length of those in hand.
    """
    silent = sum(len(opened.seats) - len(state.answers_in(opened.round)) for opened in state.rounds)
    undrawn = vote.undrawn_samples(state) if state.opened.request.protocol == "vote" else 0
    written = [each.usage.completion_tokens for each in state.answers if each.failure is None]
    return round((silent + undrawn) * _mean(written))


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3) if values else 0.0
