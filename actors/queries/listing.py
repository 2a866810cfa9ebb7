"""Pages of deliberations, newest first, read backwards from a stream that only reads forwards.

Openings are scanned in windows of sequences that end where the page before ended. The cost of a
page depends on the page, not on how much is stored.
"""

from actors.bus import Bus, Record
from actors.deliberations import history
from actors.queries.queues import Queues
from schemas.codec import read
from schemas.deliberation import ListQuery, Opened
from schemas.errors import BadMessage
from schemas.result import Deliberation, Page, Summary
from subjects import names
from subjects.streams import DELIBERATIONS

FIRST_WINDOW = 512
MAX_WINDOW = 65_536
MAX_SCANNED = 10_000
"""Openings looked at for one page: a rare filter gives a short page and a cursor to go on."""

BATCH = 256
OUTCOMES_AT_ONCE = 256


async def page(bus: Bus, query: ListQuery) -> Page:
    """One page for `query`. Raises BusError."""
    queues = Queues(bus)
    end = query.cursor or await bus.last_sequence(DELIBERATIONS) + 1
    window, scanned = FIRST_WINDOW, 0
    found: list[Summary] = []
    while end > 1 and scanned < MAX_SCANNED:
        begin = max(end - window, 1)
        openings = await _openings(bus, begin, end)
        scanned += len(openings)
        for at in range(0, len(openings), OUTCOMES_AT_ONCE):
            chunk = openings[at : at + OUTCOMES_AT_ONCE]
            for summary, sequence in await _summaries(bus, chunk, queues):
                if _matches(summary, query):
                    found.append(summary)
                    if len(found) == query.limit:
                        return Page(deliberations=tuple(found), cursor=sequence)
        end = begin
        window = min(window * 2, MAX_WINDOW)
    return Page(deliberations=tuple(found), cursor=end if end > 1 else None)


async def _openings(bus: Bus, begin: int, end: int) -> list[Record]:
    """Openings in [begin, end), newest first."""
    openings: list[Record] = []
    start = begin
    while start < end:
        records = await bus.scan(DELIBERATIONS, names.ANY_OPENED, start, BATCH)
        openings += [record for record in records if record.sequence < end]
        if len(records) < BATCH:
            break
        start = records[-1].sequence + 1
    return openings[::-1]


async def _summaries(bus: Bus, openings: list[Record], queues: Queues) -> list[tuple[Summary, int]]:
    outcomes = await history.outcomes(bus, openings)
    summaries = []
    for record in openings:
        outcome = outcomes.get(names.task_of(record.subject) or "")
        try:
            opened = read(Opened, record.body, record.headers)
            summary = await _summary(opened, record.sequence, outcome, queues)
        except BadMessage:
            continue  # garbage on a subject; it is set aside by those who act upon it
        summaries.append((summary, record.sequence))
    return summaries


async def _summary(
    opened: Opened, sequence: int, outcome: Record | None, queues: Queues
) -> Summary:
    duration_ms, winner = 0, None
    if outcome is not None:
        ended = read(Deliberation, outcome.body, outcome.headers)
        status, duration_ms, winner = ended.status, ended.duration_ms, ended.winner_id
    else:
        status = "IN_PROGRESS" if await queues.begun(opened, sequence) else "PENDING"
    return Summary(
        task_id=opened.task_id,
        role=opened.request.role,
        status=status,
        created_at_ms=opened.asked_at_ms,
        task_description=opened.request.task_description[:120],
        duration_ms=duration_ms,
        winner_id=winner,
    )


def _matches(summary: Summary, query: ListQuery) -> bool:
    return query.status in (None, summary.status) and query.role in (None, summary.role)
