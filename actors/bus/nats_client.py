"""nats-py's client: the only module that imports `nats`. Kept from going deaf, and made shorter.

Its own way costs more than all that is done with a message: what arrives goes through a queue and
a task for each subscription, header names are searched letter by letter, and what is sent has all
of its headers checked and put together anew. None of that is needed here, where a callback never
waits and never raises (`nats_core.py`), and the names of headers are few.

Traps named N… are those of nats-py 2.16 that a test in `tests/bus/` reproduces.
"""

import asyncio
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from actors.bus.replies import STATUS
from actors.engines.without import without

with without("aiohttp"):
    # nats-py imports it for its WebSocket transport, which is not used: half of an actor's start.
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription as NatsSubscription

__all__ = ["DirectClient", "Msg", "NatsSubscription", "errors"]

DESCRIPTION = "Description"
"""The header that holds the server's words beside a status."""

_VERSION = b"NATS/1.0"
_FIT_SUBJECT = re.compile(r"\S+")
_FIT_NAME = re.compile(r"[^\s:\x00-\x1f\x7f]+")


class DirectClient(Client):
    """See the module."""

    async def publish(
        self,
        subject: str,
        payload: bytes = b"",
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """As nats-py does, which says why where it cannot be done. Raises nats.errors.Error."""
        if not self.is_connected:
            await super().publish(subject, payload, reply, dict(headers) if headers else None)
            return
        if _FIT_SUBJECT.fullmatch(subject) is None:
            raise errors.BadSubjectError
        if headers:
            head = written(headers)
            sizes = f"{len(head)} {len(head) + len(payload)}"
            command = f"HPUB {subject} {reply} {sizes}\r\n".encode()
        else:
            head = b""
            command = f"PUB {subject} {reply} {len(payload)}\r\n".encode()
        await self._send_command(b"".join((command, head, payload, b"\r\n")))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    async def _flush_pending(self, force_flush: bool = False) -> Any:
        # On uvloop, writing to a link that is gone is a RuntimeError: it would go through to
        # whoever publishes, and end the read loop where that answers a PING (N24).
        try:
            return await super()._flush_pending(force_flush)
        except RuntimeError as error:
            raise ConnectionResetError(str(error)) from error

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        subscription = self._subs.get(sid)
        if subscription is None:
            return
        callback = subscription._cb  # noqa: SLF001 -- what `subscribe` was given
        assert callback is not None  # noqa: S101 -- nobody subscribes without
        heads = read_headers(headers) if headers else None
        # Subjects need not be text; nats-py's own way of reading one ends the read loop (N23).
        names = (subject.decode(errors="replace"), reply.decode(errors="replace"))
        await callback(Msg(self, *names, data, heads))

    async def _process_pong(self) -> None:
        # A flush that was cut short leaves a future that is done; setting its result again would
        # raise in the read loop and end it for good, while `is_connected` stays true (N21).
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _attempt_reconnect(self) -> None:
        self._abort()
        await super()._attempt_reconnect()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        if self._flush_queue is None:
            return  # it never came to connecting, and nats-py would trip over that
        # What is left unsaid would be written to a link that may be gone; on uvloop that raises,
        # and subscriptions and callbacks stay as they were (N22).
        self._pending.clear()
        self._pending_data_size = 0
        if self._unsent():
            self._abort()
        await super()._close(status, do_cbs)

    def _abort(self) -> None:
        # nats-py closes a link only when all is sent: never where nobody takes it any more, as
        # after a cable was cut under load. Neither did it go to another server meanwhile (N25).
        if (link := self._link()) is not None:
            link.abort()

    def _unsent(self) -> int:
        return 0 if (link := self._link()) is None else link.get_write_buffer_size()

    def _link(self) -> asyncio.WriteTransport | None:
        writer = getattr(self._transport, "_io_writer", None)
        return None if writer is None else writer.transport


def written(headers: Mapping[str, str]) -> bytes:
    """The headers as they are sent. Raises nats.errors.BadHeaderError."""
    lines = [b"NATS/1.0"]
    for name, value in headers.items():
        line = _prefix(name) + " ".join(value.splitlines()).strip().encode()
        lines.append(line)
    return b"\r\n".join((*lines, b"", b""))


@lru_cache(64)
def _prefix(name: str) -> bytes:
    if _FIT_NAME.fullmatch(name) is None:
        raise errors.BadHeaderError(name)
    return f"{name}: ".encode()


def read_headers(raw: bytes) -> dict[str, str]:
    """Headers as they came, whoever wrote them: what is no header is passed over.

    The server's own status, as in `NATS/1.0 404 No Messages`, is shown as two headers.
    """
    first, *lines = raw.decode(errors="replace").split("\r\n")
    status, _, words = first[len(_VERSION) :].strip().partition(" ")
    headers = {}
    if status.isdigit():
        headers[STATUS] = status
        if words:
            headers[DESCRIPTION] = words
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and (name.isalnum() or _FIT_NAME.fullmatch(name := name.strip())):
            headers[name] = value.strip()
    return headers
