"""Dead letters: what cannot be processed, set aside with reason and origin, out of everybody's way.

A letter is the message's body under headers that tell the rest, on a subject of its origin's
sequence. Retrying or dropping a letter stores what became of it in its place, so that nobody who
comes across the message again sets it aside anew.
"""

import base64
import json
import logging
from typing import get_args

from msgspec import Struct

from actors.bus import Bus, BusError, Conflict, Delivery, Headers, Record
from schemas.codec import decode, encode
from schemas.dead_letter import DeadLetter, LetterState
from schemas.errors import BadMessage
from schemas.types import TaskId
from subjects import names
from subjects.streams import backoff_s

log = logging.getLogger(__name__)

REASON = "Conclave-Reason"
CODE = "Conclave-Code"
ORIGIN = "Conclave-Origin-Subject"
SEQUENCE = "Conclave-Origin-Sequence"
STORED = "Conclave-Origin-Time-Ms"
HEADERS = "Conclave-Origin-Headers"
SIZE = "Conclave-Origin-Size"
TASK = "Conclave-Task-Id"
ATTEMPTS = "Conclave-Attempts"
STATE = "Conclave-State"
DIED = "Conclave-Died-Ms"
RETRIED_AS = "Conclave-Retried-As"
RETRIED_AFTER = "Conclave-Retried-After"

MOST_HEADERS = 4_096
"""Bytes of the message's own headers that a letter keeps."""

_NUMBERS = (SEQUENCE, STORED, SIZE, ATTEMPTS, DIED, RETRIED_AS, RETRIED_AFTER)

_ADDED_BY_READING = frozenset(
    {
        "Nats-Stream",
        "Nats-Subject",
        "Nats-Sequence",
        "Nats-Time-Stamp",
        "Nats-Num-Pending",
        "Nats-Last-Sequence",
    }
)


class _Named(Struct, frozen=True):
    task_id: TaskId


async def set_aside(
    bus: Bus, record: Record, reason: str, *, code: str = "bad_message", attempts: int = 1
) -> None:
    """Copy a stored message to the dead letters, once however many actors come across it.

    Raises Unavailable.
    """
    subject = names.dead_letter(record.sequence)
    headers = {
        STATE: "dead",
        REASON: " ".join(reason.split())[:200],
        CODE: code,
        ORIGIN: record.subject,
        SEQUENCE: str(record.sequence),
        STORED: str(record.stored_ms),
        SIZE: str(len(record.body)),
        ATTEMPTS: str(attempts),
        HEADERS: _told(record.headers),
    }
    if task_id := _task_id(record):
        headers[TASK] = task_id
    taken = sum(len(name) + len(value.encode()) + len(": \r\n") for name, value in headers.items())
    body = record.body[: max(bus.max_payload - taken, 0)]
    try:
        await bus.store(subject, body, once=subject, headers=headers)
    except Conflict:
        return


async def give_up(bus: Bus, delivery: Delivery, error: BadMessage) -> None:
    """Set a pulled message aside and end it; what cannot be set aside now comes again."""
    attempt = delivery.attempt
    try:
        await set_aside(bus, delivery.record, error.message, code=error.code, attempts=attempt)
    except BusError as failure:
        log.warning("not set aside sequence=%d %s", delivery.record.sequence, failure)
        await delivery.nak(backoff_s(attempt))
    else:
        await delivery.term()


async def mark(bus: Bus, record: Record, state: LetterState, **more: str) -> int:
    """Store what became of a letter, in its place; return the sequence of what is stored.

    Its body is kept only while it is being retried. Raises Conflict, Unavailable.
    """
    told = {name: value for name, value in record.headers.items() if name.startswith("Conclave-")}
    headers = told | {STATE: state, DIED: str(_died_ms(record))} | more
    body = record.body if state == "retrying" else b""
    subject = record.subject
    stored = await bus.store(subject, body, once=subject, after=record.sequence, headers=headers)
    return stored.sequence


def letter(record: Record, room: int | None = None) -> DeadLetter:
    """A stored letter as it is told, with at most `room` bytes of its body; without, none."""
    told = record.headers
    size = int(told.get(SIZE, len(record.body)))
    body = record.body[: room or 0]
    text, coded = _readable(body)
    retried_as = told.get(RETRIED_AS)
    return DeadLetter(
        id=int(told[SEQUENCE]),
        state=state(record),
        subject=told[ORIGIN],
        reason=told[REASON],
        code=told.get(CODE, "bad_message"),
        task_id=told.get(TASK),
        attempts=int(told.get(ATTEMPTS, "1")),
        stored_at_ms=int(told.get(STORED, "0")),
        died_at_ms=_died_ms(record),
        size=size,
        headers=origin_headers(record),
        body=text,
        body_base64=coded,
        truncated=room is not None and state(record) == "dead" and len(body) < size,
        retried_as=int(retried_as) if retried_as else None,
    )


def is_letter(record: Record) -> bool:
    """Whether a stored message is a letter of ours, and not somebody's garbage on its subject."""
    told = record.headers
    numbers = (told[name] for name in _NUMBERS if name in told)
    return (
        {SEQUENCE, ORIGIN, REASON} <= told.keys()
        and all(number.isdecimal() for number in numbers)
        and told.get(STATE, "dead") in get_args(LetterState)
    )


def state(record: Record) -> LetterState:
    """What became of a letter so far; one of an older version is dead."""
    return decode(LetterState, encode(record.headers.get(STATE, "dead")))  # type: ignore[arg-type]


def origin_headers(record: Record) -> dict[str, str]:
    """The headers that the message had, as far as they fitted."""
    return decode(dict[str, str], record.headers.get(HEADERS, "{}").encode())


def is_whole(record: Record) -> bool:
    """Whether the letter holds all of the message's body."""
    return len(record.body) == int(record.headers.get(SIZE, len(record.body)))


def _died_ms(record: Record) -> int:
    return int(record.headers.get(DIED, record.stored_ms))


def _told(headers: Headers) -> str:
    """The message's own headers as ASCII JSON; those that are too long are left out."""
    kept = {name: value for name, value in headers.items() if name not in _ADDED_BY_READING}
    while kept and len(told := json.dumps(kept)) > MOST_HEADERS:
        longest = max(kept, key=lambda name: len(kept[name]))
        kept = {name: value for name, value in kept.items() if name != longest}
    return told if kept else "{}"


def _readable(body: bytes) -> tuple[str, str]:
    """The body as text, or as base64 when it is none."""
    try:
        return body.decode(), ""
    except UnicodeDecodeError:
        return "", base64.b64encode(body).decode()


def _task_id(record: Record) -> str | None:
    """The deliberation that a message belongs to, as its subject or its body tells."""
    task_id = names.task_of(record.subject)
    try:
        named = _Named(task_id) if task_id is not None else decode(_Named, record.body)
        return decode(_Named, encode(named)).task_id
    except BadMessage:
        return None
