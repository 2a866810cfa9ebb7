"""Retrying a dead letter: its message is sent again, once, whoever dies in between.

The letter is claimed by compare-and-set, the message stored under an id of the letter's own, and
the letter marked. Whoever finds a letter claimed looks for the message behind the place in the
stream that the claim names, and goes on from there. Two that do so at once are told apart by the
message id, as long as neither sleeps longer than the duplicate window in between.
"""

from actors import dead_letters
from actors.bus import Bus, Conflict, Record, jetstream
from schemas.errors import Refused
from subjects import names
from subjects.streams import DEAD_LETTERS, DELIBERATIONS

MAY_COME_AGAIN = ("agent.request.", "agent.response.", "deliberation.submit.")
"""The other subjects hold one message for each event of a deliberation, which a second would
contradict."""

BATCH = 256


class LetterRetry:
    """See the module."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def find(self, letter_id: int) -> Record:
        """A letter as stored. Raises Refused when there is none, Unavailable."""
        found = await self._bus.last(DEAD_LETTERS, [names.dead_letter(letter_id)])
        if not found or not dead_letters.is_letter(found[0]):
            raise Refused("unknown_letter", f"no dead letter {letter_id}", "$.id")
        return found[0]

    async def retry(self, letter_id: int) -> Record:
        """Send the message again unless that was done; return the letter. Raises Refused."""
        while True:
            record = await self.find(letter_id)
            state = dead_letters.state(record)
            if state == "retried":
                return record
            if state == "dropped":
                raise Refused("conflict", f"letter {letter_id} was dropped", "$.id")
            try:
                if state == "dead":
                    await self._claim(record)
                else:
                    await self._send(letter_id, record)
            except Conflict:
                continue  # somebody else was first; see how far it is

    async def _claim(self, record: Record) -> None:
        subject = record.headers[dead_letters.ORIGIN]
        if not subject.startswith(MAY_COME_AGAIN):
            text = f"what is stored on {subject} is stored once; submit the task anew"
            raise Refused("bad_request", text, "$.id")
        after = await self._bus.last_sequence(DELIBERATIONS)
        more = {dead_letters.RETRIED_AFTER: str(after)}
        await dead_letters.mark(self._bus, record, "retrying", **more)

    async def _send(self, letter_id: int, record: Record) -> None:
        subject = record.headers[dead_letters.ORIGIN]
        message_id = f"retry.{letter_id}"
        sequence = await self._sent(subject, message_id, record)
        if sequence is None:
            kept = dead_letters.origin_headers(record)
            headers = {name: value for name, value in kept.items() if not name.startswith("Nats-")}
            body = await self._body(letter_id, record)
            stored = await self._bus.store(subject, body, message_id=message_id, headers=headers)
            sequence = stored.sequence
        more = {dead_letters.RETRIED_AS: str(sequence)}
        await dead_letters.mark(self._bus, record, "retried", **more)

    async def _sent(self, subject: str, message_id: str, record: Record) -> int | None:
        """Where the message already is, sent by whoever claimed the letter."""
        start = int(record.headers[dead_letters.RETRIED_AFTER]) + 1
        while records := await self._bus.scan(DELIBERATIONS, subject, start, BATCH):
            for each in records:
                if each.headers.get(jetstream.MESSAGE_ID) == message_id:
                    return each.sequence
            start = records[-1].sequence + 1
        return None

    async def _body(self, letter_id: int, record: Record) -> bytes:
        if dead_letters.is_whole(record):
            return record.body
        found = await self._bus.scan(DELIBERATIONS, record.headers[dead_letters.ORIGIN], letter_id)
        if not found or found[0].sequence != letter_id:
            text = f"message {letter_id} is no longer stored, and its letter holds a part of it"
            raise Refused("conflict", text, "$.id")
        return found[0].body
