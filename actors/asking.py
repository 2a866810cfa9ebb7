"""Asking an endpoint of the system: its typed reply, or its typed error."""

import secrets
from typing import TypeVar

from msgspec import Struct

from actors.bus import Bus, Message
from actors.clock import now_ms
from schemas import codec
from schemas.errors import ERROR_CODE_HEADER, ERROR_HEADER, BadMessage, ErrorReply, Refused

T = TypeVar("T")


def new_task_id() -> str:
    """Return an id for a request of our own; ids of later requests sort after it."""
    return f"{now_ms():012x}{secrets.token_hex(8)}"


async def ask(bus: Bus, subject: str, message: Struct, kind: type[T], timeout_s: float = 5.0) -> T:
    """Send `message` and decode the reply as `kind`.

    Raises Refused for an error reply, and what `Bus.request` raises.
    """
    reply = await bus.request(subject, codec.encode(message), timeout_s=timeout_s)
    if ERROR_CODE_HEADER in reply.headers:
        raise refused(reply)
    return codec.read(kind, reply.body, reply.headers)


def refused(reply: Message) -> Refused:
    """Return the error that an error reply carries, also when its body is not one of ours."""
    try:
        error = codec.decode(ErrorReply, reply.body).error
    except BadMessage:
        text = reply.headers.get(ERROR_HEADER, "error without a text")
        return Refused(reply.headers[ERROR_CODE_HEADER], text)
    return Refused(error.code, error.message, error.path or "$", error.retry_after_ms)
