"""Reading one deliberation from the stream: its state, and its outcome if it has one."""

import math
from collections.abc import Iterable

from actors.bus import Bus, Record
from actors.deliberations import responses
from actors.deliberations.deliberation import State, advance, begin, end, respond
from actors.protocols import PROTOCOLS
from schemas.codec import read
from schemas.deliberation import Opened, RoundOpened
from schemas.errors import BadMessage
from schemas.result import Deliberation
from subjects import names
from subjects.streams import DELIBERATIONS

BATCH = 256


async def ends(bus: Bus, task_id: str) -> tuple[Record | None, Record | None]:
    """The stored opening and outcome of a deliberation, each None if there is none.

    Raises Unavailable.
    """
    filters = [names.opened(task_id), names.any_outcome_of(task_id)]
    opened = outcome = None
    for record in await bus.last(DELIBERATIONS, filters):
        if record.subject.startswith("deliberation.outcome."):
            outcome = record
        else:
            opened = record
    return opened, outcome


async def outcomes(bus: Bus, openings: Iterable[Record]) -> dict[str, Record]:
    """The stored outcomes of some openings, by task; garbage on a subject has none.

    Raises Unavailable.
    """
    ids = [names.task_of(record.subject) or "" for record in openings]
    ends = [names.any_outcome_of(each) for each in ids if names.is_token(each)]
    found = await bus.last(DELIBERATIONS, ends) if ends else ()
    return {names.task_of(record.subject) or "": record for record in found}


def opening(record: Record) -> State:
    """The state after an opening. Raises BadMessage."""
    opened = read(Opened, record.body, record.headers)
    return begin(opened, PROTOCOLS[opened.request.protocol].first)


async def rebuild(bus: Bus, opened: Record, until: Record | None = None) -> State:
    """Fold what is stored of a deliberation, up to and with `until` if given.

    Raises Unavailable.
    """
    return refolded(opened, await _since(bus, opened), until)


async def events(bus: Bus, task_id: str) -> list[Record]:
    """Every stored event of a deliberation in stream order; none if there is no such task.

    Raises Unavailable.
    """
    opened, ended = await ends(bus, task_id)
    if opened is None:
        return []
    following = sorted(await _since(bus, opened), key=_sequence)
    return [opened, *following, *([ended] if ended is not None else [])]


async def _since(bus: Bus, opened: Record) -> list[Record]:
    task_id = names.task_of(opened.subject) or ""
    # Rounds first: all that they had heard is stored by the time the answers are read.
    found = await _all(bus, names.round_opened(task_id), opened.sequence)
    found += await _all(bus, names.agent_response(task_id), opened.sequence)
    return found


def refolded(opened: Record, records: Iterable[Record], until: Record | None = None) -> State:
    """The state after these records; after an outcome, the one that it was told from.

    What another collector, or a seat, stored between that decision and its storing is left out.
    """
    state = opening(opened)
    known, heard = _told(until)
    for record in sorted(records, key=_sequence):
        if until is not None and record.sequence > until.sequence:
            break
        if not _is_round(record) or len(state.rounds) < known:
            state = folded(state, record)
    is_outcome = until is not None and until.subject.startswith("deliberation.outcome.")
    return end(state, heard) if is_outcome else state


def _told(until: Record | None) -> tuple[float, int | None]:
    """How many rounds and answers an outcome was told from; no limit for another record."""
    if until is None or not until.subject.startswith("deliberation.outcome."):
        return math.inf, None
    ended = read(Deliberation, until.body, until.headers)
    return len(ended.stages), ended.heard


def _is_round(record: Record) -> bool:
    return record.subject.startswith("deliberation.round.")


def folded(state: State, record: Record) -> State:
    """The state after a stored response or round; what does not decode changes nothing."""
    try:
        if _is_round(record):
            return advance(state, read(RoundOpened, record.body, record.headers))
        return respond(state, responses.read(record.body, record.headers), record.stored_ms)
    except BadMessage:
        return state  # the collector has set it aside


async def _all(bus: Bus, subject: str, start: int) -> list[Record]:
    found: list[Record] = []
    while True:
        records = await bus.scan(DELIBERATIONS, subject, start, BATCH)
        found += records
        if len(records) < BATCH:
            return found
        start = records[-1].sequence + 1


def _sequence(record: Record) -> int:
    return record.sequence
