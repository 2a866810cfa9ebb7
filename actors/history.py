"""Reading one deliberation from the stream: its state, and its outcome if it has one."""

import asyncio

from actors.bus import Bus, Record
from actors.deliberation import State, advance, begin, end, respond
from actors.protocols import PROTOCOLS
from schemas.agent import AgentResponse
from schemas.codec import decode
from schemas.deliberation import Opened, RoundOpened
from schemas.errors import BadMessage
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


def opening(record: Record) -> State:
    """The state after an opening. Raises BadMessage."""
    opened = decode(Opened, record.body)
    return begin(opened, PROTOCOLS[opened.request.protocol].first)


async def rebuild(bus: Bus, opened: Record, until: Record | None = None) -> State:
    """Fold what is stored of a deliberation, up to and with `until` if given.

    Raises Unavailable.
    """
    state = opening(opened)
    task_id = state.opened.task_id
    subjects = (names.agent_response(task_id), names.round_opened(task_id))
    found = await asyncio.gather(*(_all(bus, subject, opened.sequence) for subject in subjects))
    for record in sorted((each for some in found for each in some), key=_sequence):
        if until is not None and record.sequence > until.sequence:
            break
        state = folded(state, record)
    is_outcome = until is not None and until.subject.startswith("deliberation.outcome.")
    return end(state) if is_outcome else state


def folded(state: State, record: Record) -> State:
    """The state after a stored response or round; what does not decode changes nothing."""
    try:
        if record.subject.startswith("deliberation.round."):
            return advance(state, decode(RoundOpened, record.body))
        return respond(state, decode(AgentResponse, record.body), record.stored_ms)
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
