"""From what the seats said to the one result: pure, the same for events, queries and replays."""

from collections.abc import Iterable

from msgspec.structs import replace

from actors import quality
from actors.deliberation import State
from actors.protocols import PROTOCOLS
from schemas.agent import AgentResponse, Usage
from schemas.codec import encode
from schemas.deliberation import Status
from schemas.result import Deliberation, Failure, Proposal, Quality, Ranked

SILENT = {
    "TIMEOUT": ("timeout", "no answer before the deadline"),
    "CANCELLED": ("cancelled", "cancelled before it answered"),
}


def result(state: State, status: Status, now_ms: int, reason: str = "") -> Deliberation:
    """All that is known of a deliberation as `status`, at `now_ms`."""
    opened = state.opened
    request = opened.request
    standing = PROTOCOLS[request.protocol].standing(state)
    proposals = [place.answer for place in standing.places]
    contents = [quality.content(answer.content, request.task_description) for answer in proposals]
    return Deliberation(
        task_id=opened.task_id,
        role=request.role,
        protocol=request.protocol,
        status=status,
        seats=tuple(seat.id for seat in opened.seats),
        results=tuple(
            Ranked(proposal=_proposal(place.answer, request.role), score=place.score, rank=rank)
            for rank, place in enumerate(standing.places, 1)
        ),
        winner_id=proposals[0].seat if proposals else None,
        winner_reason=standing.reason,
        created_at_ms=opened.opened_at_ms,
        deadline_ms=opened.deadline_ms,
        duration_ms=max(now_ms - opened.opened_at_ms, 0),
        usage=_total(answer.usage for answer in state.answers),
        quality=Quality(
            diversity=round(quality.diversity(contents), 4),
            relevance=round(quality.relevance(contents, request.task_description), 4),
        ),
        failures=_failures(state, status),
        degraded=len(proposals) < len(opened.seats),
        reason=reason,
        metadata=request.constraints.metadata,
    )


def _proposal(answer: AgentResponse, role: str) -> Proposal:
    return Proposal(
        author_id=answer.seat,
        author_role=role,
        content=answer.content,
        created_at_ms=answer.created_at_ms,
        thinking=answer.thinking,
        model=answer.model,
        engine=answer.engine,
        finish_reason=answer.finish_reason,
        logprob=answer.logprob,
        usage=answer.usage,
        timing=answer.timing,
    )


def _total(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())


def _failures(state: State, status: Status) -> tuple[Failure, ...]:
    failed = [
        Failure(
            seat=answer.seat,
            round=answer.round,
            code=answer.failure.code,
            message=answer.failure.message,
        )
        for answer in state.answers
        if answer.failure is not None
    ]
    if status in SILENT:
        code, message = SILENT[status]
        answered = {answer.seat for answer in state.answers}
        failed += [
            Failure(seat=seat.id, code=code, message=message)
            for seat in state.opened.seats
            if seat.id not in answered
        ]
    return tuple(failed)


def fitted(deliberation: Deliberation, limit: int) -> bytes:
    """The result as JSON of at most `limit` bytes.

    When it is larger, losing proposals' text is left out and `truncated` says so; if the
    winner's alone is too large, it is cut as well; metadata and failures' words go last.
    """
    body = encode(deliberation)
    if len(body) <= limit:
        return body
    results = deliberation.results
    short = tuple(_without_text(ranked) if at else ranked for at, ranked in enumerate(results))
    body = encode(replace(deliberation, results=short, truncated=True))
    if len(body) <= limit:
        return body
    bare = tuple(_without_text(ranked) for ranked in results)
    least = replace(deliberation, results=bare, truncated=True)
    if len(encode(least)) > limit:
        least = replace(least, metadata={}, failures=tuple(map(_without_message, least.failures)))
    if not results:
        return encode(least)
    room = limit - len(encode(least))
    winner = results[0]
    # One character takes at most 6 bytes as JSON (\uXXXX).
    cut = replace(
        winner.proposal, content=winner.proposal.content[: max(room, 0) // 6], thinking=""
    )
    return encode(replace(least, results=(replace(winner, proposal=cut), *bare[1:])))


def _without_message(failure: Failure) -> Failure:
    return replace(failure, message="")


def _without_text(ranked: Ranked) -> Ranked:
    return replace(ranked, proposal=replace(ranked.proposal, content="", thinking="", revisions=()))
