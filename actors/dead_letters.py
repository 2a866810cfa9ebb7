"""Setting aside what cannot be processed, with reason and origin, out of everybody's way."""

from actors.bus import Bus, Conflict, Record
from subjects import names

REASON = "Conclave-Reason"
ORIGIN = "Conclave-Origin-Subject"
SEQUENCE = "Conclave-Origin-Sequence"


async def set_aside(bus: Bus, record: Record, reason: str) -> None:
    """Copy a stored message to the dead letters, once however many actors come across it.

    Raises Unavailable.
    """
    subject = names.dead_letter(record.sequence)
    headers = {
        REASON: reason[:200].replace("\n", " "),
        ORIGIN: record.subject,
        SEQUENCE: str(record.sequence),
    }
    try:
        await bus.store(subject, record.body, once=subject, headers=headers)
    except Conflict:
        return
