"""From what the seats said to the one result: pure, the same for events, queries and replays."""

from collections.abc import Collection

from msgspec.structs import replace

from actors.deliberations import answers, ledger, quality
from actors.deliberations.deliberation import State
from actors.protocols import PROTOCOLS, election, vote
from actors.protocols.rules import Place, Standing
from schemas.agent import AgentResponse
from schemas.codec import encode
from schemas.deliberation import FINAL_STATUSES, CountingRule, Status
from schemas.result import (
    NOT_NEEDED,
    BallotRecord,
    Deliberation,
    Failure,
    Proposal,
    Quality,
    Ranked,
    ReferenceCheck,
    TallyRow,
)

SILENT = {
    "TIMEOUT": ("timeout", "no answer before the deadline"),
    "CANCELLED": ("cancelled", "cancelled before it answered"),
}
ABSTAINED = ("abstained", "no answer by the time the round was settled")
SPARED = (NOT_NEEDED, "the result no longer depended on its answer")


def result(state: State, status: Status, now_ms: int, reason: str = "") -> Deliberation:
    """All that is known of a deliberation as `status`, at `now_ms`.

    By a clock that is behind the one by which it was asked, it took no time at all.
    """
    now_ms = max(now_ms, state.opened.asked_at_ms)
    standing = PROTOCOLS[state.opened.request.protocol].standing(state)
    return _result(state, status, now_ms, reason, standing, election.hold(state))


def unjudged(state: State, now_ms: int) -> Deliberation:
    """A deliberation that has to end though its result cannot be told: FAILED, with no results."""
    reason = "the result could not be told: an error inside the collector"
    return _result(state, "FAILED", now_ms, reason, Standing((), reason), None)


def recounted(
    state: State, ended: Deliberation, rule: CountingRule | None, without: Collection[str]
) -> Deliberation:
    """A finished deliberation counted again, under another rule or without some seats."""
    standing = election.standing(state, rule, without)
    held = election.hold(state, rule, without)
    again = _result(state, ended.status, 0, ended.reason, standing, held)
    return replace(again, duration_ms=ended.duration_ms, stages=ended.stages)


def _result(
    state: State,
    status: Status,
    now_ms: int,
    reason: str,
    standing: Standing,
    held: election.Election | None,
) -> Deliberation:
    opened, request = state.opened, state.opened.request
    proposals = [place.answer for place in standing.places]
    contents = [quality.content(answer.content, request.task_description) for answer in proposals]
    agreed = quality.agreement(contents)
    final = status in FINAL_STATUSES
    rows = answers.tally(vote.samples(state)) if request.protocol == "vote" else ()
    return Deliberation(
        task_id=opened.task_id,
        role=request.role,
        protocol=request.protocol,
        status=status,
        seats=tuple(seat.id for seat in opened.seats),
        heard=len(state.answers),
        results=tuple(
            Ranked(proposal=_proposal(place, request.role), score=place.score, rank=rank)
            for rank, place in enumerate(standing.places, 1)
        ),
        winner_id=proposals[0].seat if proposals else None,
        winner_reason=standing.reason,
        created_at_ms=opened.asked_at_ms,
        deadline_ms=opened.deadline_ms,
        duration_ms=max(now_ms - opened.asked_at_ms, 0),
        usage=ledger.total(state.answers),
        quality=Quality(
            diversity=round(quality.diversity(contents), 4),
            relevance=round(quality.relevance(contents, request.task_description), 4),
        ),
        failures=_failures(state, status) if final else _failed(state),
        degraded=final and _heard(state) < len(opened.seats),
        reason=reason,
        metadata=request.constraints.metadata,
        counting=held.rule if held is not None else None,
        agreement=round(sum(agreed) / len(agreed), 4) if agreed else 0.0,
        ballots=tuple(map(_ballot, held.cast)) if held is not None else (),
        tally=tuple(
            TallyRow(answer=row.answer[:8_000], votes=row.votes, weight=round(row.weight, 4))
            for row in rows
        ),
        stages=ledger.stages(state, now_ms),
        ledger=ledger.seats(state),
        saved_tokens_estimate=ledger.saved_tokens(state) if status == "COMPLETED" else 0,
        reference=_reference(state, proposals),
        refused=opened.refused,
    )


def _heard(state: State) -> int:
    """Seats that gave at least one answer."""
    return len({answer.seat for answer in state.answers if answer.failure is None})


def _ballot(cast: election.Cast) -> BallotRecord:
    ballot = cast.ballot
    if ballot is None:
        return BallotRecord(voter=cast.voter, abstained=cast.abstained, labels_seed=cast.drawn_by)
    return BallotRecord(
        voter=cast.voter,
        ranking=ballot.ranking,
        approved=tuple(name for name in ballot.ranking if name in ballot.approved),
        weight=round(ballot.weight, 4),
        labels_seed=cast.drawn_by,
    )


def _reference(state: State, proposals: list[AgentResponse]) -> ReferenceCheck | None:
    reference = state.opened.request.reference_answer
    if reference is None:
        return None
    right = answers.normalised(reference)
    texts = state.texts("propose", "revise", "synthesize", "answer", "reconsider")
    correct = [answers.extract(answer.content) == right for answer in texts]
    return ReferenceCheck(
        winner_correct=bool(proposals) and answers.extract(proposals[0].content) == right,
        oracle_correct=any(correct),
        share_correct=round(sum(correct) / len(correct), 4) if correct else 0.0,
    )


def _proposal(place: Place, role: str) -> Proposal:
    answer = place.answer
    return Proposal(
        author_id=answer.seat,
        author_role=role,
        content=answer.content,
        created_at_ms=answer.created_at_ms,
        revisions=tuple(version.content for version in place.versions),
        thinking=answer.thinking,
        model=answer.model,
        engine=answer.engine,
        finish_reason=answer.finish_reason,
        logprob=answer.logprob,
        usage=answer.usage,
        timing=answer.timing,
    )


def _failed(state: State) -> tuple[Failure, ...]:
    return tuple(
        Failure(
            seat=answer.seat,
            round=answer.round,
            code=answer.failure.code,
            message=answer.failure.message,
        )
        for opened in state.rounds
        for answer in state.answers_in(opened.round)
        if answer.failure is not None
    )


def _failures(state: State, status: Status) -> tuple[Failure, ...]:
    """Failures and silences of every round; what is missing stays in the denominator."""
    silent = []
    last = SILENT.get(status, ABSTAINED)
    if status == "COMPLETED" and PROTOCOLS[state.opened.request.protocol].decided(state):
        last = SPARED
    for opened in state.rounds:
        code, message = last if opened is state.round else ABSTAINED
        said = {answer.seat for answer in state.answers_in(opened.round)}
        silent += [
            Failure(seat=seat, round=opened.round, code=code, message=message)
            for seat in opened.seats
            if seat not in said
        ]
    return (*_failed(state), *silent)


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
        failures = tuple(map(_without_message, least.failures))
        least = replace(least, metadata={}, failures=failures, ballots=(), ledger=(), tally=())
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
