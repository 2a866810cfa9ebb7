"""A socket that speaks the NATS protocol in the very bytes of nats.go v1.51.0 (`nats.go`)."""

import random
import socket
import string
import time
from typing import Self
from urllib.parse import urlsplit

from msgspec import Struct

CONNECT_S = 5.0
REPLY_S = 5.0
CONNECT = (
    b'CONNECT {"verbose":false,"pedantic":false,"tls_required":false,'
    b'"name":"NATS CLI Version 0.4.0","lang":"go","version":"1.51.0","protocol":1,'
    b'"echo":true,"headers":true,"no_responders":true}\r\nPING\r\n'
)


class Delivered(Struct, frozen=True):
    """A message as the server sent it; `status` is 503 where nobody listens."""

    subject: str
    reply: str
    status: str
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._socket = socket.create_connection((where.hostname, where.port), timeout=CONNECT_S)
        self._received = b""
        self._subscriptions = 0
        self._inboxes = f"{new_inbox()}."
        self._mux = 0
        assert self._line(CONNECT_S).startswith(b"INFO {")
        self.send(CONNECT)
        assert self._line(CONNECT_S) == b"PONG"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, raw: bytes) -> None:
        self._socket.sendall(raw)

    def inbox(self) -> str:
        """A subject for one reply: `_INBOX.`, 22 characters of the connection, 8 of its own."""
        return self._inboxes + _token(8)

    def subscribe(self, subject: str) -> int:
        self._subscriptions += 1
        self.send(f"SUB {subject}  {self._subscriptions}\r\n".encode())  # between: no queue group
        return self._subscriptions

    def unsubscribe(self, subscription: int, after: str = "") -> None:
        self.send(f"UNSUB {subscription} {after}\r\n".encode())

    def publish(self, subject: str, reply: str, body: bytes, headers: tuple[str, ...] = ()) -> None:
        """PUB, or HPUB when there are headers, each `Key: value`."""
        where = f"{subject} {reply} " if reply else f"{subject} "
        if not headers:
            self.send(f"PUB {where}{len(body)}\r\n".encode() + body + b"\r\n")
            return
        head = "".join(f"{line}\r\n" for line in ("NATS/1.0", *headers, "")).encode()
        sizes = f"{len(head)} {len(head) + len(body)}"
        self.send(f"HPUB {where}{sizes}\r\n".encode() + head + body + b"\r\n")

    def request(self, subject: str, body: bytes) -> Delivered:
        """nats.go's Request: one subscription for the replies to all requests."""
        if not self._mux:
            self._mux = self.subscribe(f"{self._inboxes}*")
        self.publish(subject, self.inbox(), body)
        reply = self.receive(REPLY_S)
        if reply is None:
            raise TimeoutError(subject)
        return reply

    def receive(self, within_s: float) -> Delivered | None:
        """The next message, or None when there is none by then."""
        deadline = time.monotonic() + within_s
        try:
            while True:
                words = self._line(deadline - time.monotonic()).decode().split(" ")
                match words:
                    case ["MSG", subject, _, *reply, size]:
                        body = self._bytes(int(size))
                        return Delivered(subject, "".join(reply), "", {}, body)
                    case ["HMSG", subject, _, *reply, head, size]:
                        raw = self._bytes(int(size))
                        status, headers = _headers(raw[: int(head)].decode())
                        body = raw[int(head) :]
                        return Delivered(subject, "".join(reply), status, headers, body)
                    case ["PING"]:
                        self.send(b"PONG\r\n")
                    case ["INFO", *_]:
                        pass  # again after CONNECT, from a server that knows of others
                    case _:
                        raise AssertionError(words)
        except TimeoutError:
            return None

    def _line(self, within_s: float) -> bytes:
        while b"\r\n" not in self._received:
            self._fill(within_s)
        line, _, self._received = self._received.partition(b"\r\n")
        return line

    def _bytes(self, size: int) -> bytes:
        while len(self._received) < size + 2:
            self._fill(CONNECT_S)
        body, self._received = self._received[:size], self._received[size + 2 :]
        return body

    def _fill(self, within_s: float) -> None:
        if within_s <= 0:
            raise TimeoutError
        self._socket.settimeout(within_s)
        more = self._socket.recv(65_536)
        assert more, "the server hung up"
        self._received += more


def _headers(head: str) -> tuple[str, dict[str, str]]:
    first, *lines = head.rstrip("\r\n").split("\r\n")
    return first.removeprefix("NATS/1.0").strip(), dict(line.split(": ", 1) for line in lines)


def new_inbox() -> str:
    """A subject of one's own, as nats.go's NewInbox makes it."""
    return f"_INBOX.{_token(22)}"


def _token(size: int) -> str:
    return "".join(random.choices(string.ascii_letters + string.digits, k=size))
