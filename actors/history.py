"""Reading one deliberation from the stream: its state, and its outcome if it has one."""

from actors.bus import Bus, Record
from actors.deliberation import State, begin, end, respond
from schemas.agent import AgentResponse
from schemas.codec import decode
from schemas.deliberation import Opened
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


async def rebuild(bus: Bus, opened: Record, outcome: Record | None = None) -> State:
    """Fold what is stored of a deliberation, up to its outcome. Raises Unavailable."""
    state = begin(decode(Opened, opened.body))
    subject = names.agent_response(state.opened.task_id)
    start = opened.sequence
    while True:
        records = await bus.scan(DELIBERATIONS, subject, start, BATCH)
        for record in records:
            if outcome is not None and record.sequence > outcome.sequence:
                return end(state)
            try:
                state = respond(state, decode(AgentResponse, record.body))
            except BadMessage:
                continue  # the collector has set it aside
        if len(records) < BATCH:
            return end(state) if outcome is not None else state
        start = records[-1].sequence + 1


def status_of(outcome: Record) -> str:
    """The final status that an outcome's subject names."""
    return outcome.subject.split(".")[2].upper()
