"""A JetStream pull consumer in memory: who gets which message, and who gets it again."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from tests.simulation.stream import Kept, Stream, matches

Send = Callable[[str, str, bytes, Mapping[str, str], str], bool]
"""Sends to a reply subject, as from a subject, with a reply subject; False if nobody is there."""


class Waiting(Struct):
    """A pull request that has not brought all it asked for."""

    reply: str
    left: int
    no_wait: bool
    most_bytes: int = 0
    expires: asyncio.TimerHandle | None = None


class Pending(Struct):
    """A delivery that is not acknowledged, and when it is given up."""

    kept: Kept
    deadline_s: float


class Consumer:
    """See the module.

    `acknowledged` is told of every message that is done, `exceeded` of every one that was
    delivered as often as it may be: its sequence, and how often.
    """

    def __init__(self, name: str, stream: Stream, config: Mapping[str, Any], send: Send) -> None:
        self.name = name
        self.config = dict(config)
        self.acknowledged: Callable[[Kept], None] = lambda _: None
        self.exceeded: Callable[[int, int], None] = lambda _, __: None
        self.waiting: deque[Waiting] = deque()
        self.pending: dict[int, Pending] = {}
        self.attempts: dict[int, int] = {}
        self.deleted = False
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._send = send
        self._again: deque[Kept] = deque()
        self._fresh: deque[Kept] = deque(kept for kept in self._past() if self._wants(kept))
        self.delivered = self.reached = 0
        self._timer: asyncio.TimerHandle | None = None
        self._used_s = self._loop.time()
        if self.is_ephemeral:
            self._reap()

    @property
    def is_ephemeral(self) -> bool:
        """Whether it goes away when nobody asks."""
        return bool(self.config.get("inactive_threshold"))

    @property
    def backlog(self) -> int:
        """Messages not delivered yet."""
        return len(self._fresh) + len(self._again)

    @property
    def redelivered(self) -> int:
        """Messages that were delivered more than once, or are to be again."""
        again = {kept.sequence for kept in self._again}
        return sum(attempts > 1 or at in again for at, attempts in self.attempts.items())

    def _past(self) -> Sequence[Kept]:
        records = self._stream.records.values()
        start = self.config.get("opt_start_seq", 0)
        since_ns = _epoch_ns(self.config.get("opt_start_time"))
        return [each for each in records if each.sequence >= start and each.stored_ns >= since_ns]

    def _wants(self, kept: Kept) -> bool:
        filters = self.config.get("filter_subjects") or [">"]
        return any(matches(pattern, kept.subject) for pattern in filters)

    def offer(self, kept: Kept) -> None:
        """A message was stored."""
        if self._wants(kept):
            self._fresh.append(kept)
            self.pump()

    def ask(self, reply: str, request: Mapping[str, Any]) -> None:
        """A pull request came in."""
        self._used_s = self._loop.time()
        waiting = Waiting(
            reply,
            request.get("batch", 1),
            bool(request.get("no_wait")),
            request.get("max_bytes", 0),
        )
        if expires_ns := request.get("expires"):
            waiting.expires = self._loop.call_later(
                expires_ns / 1e9, self._end, waiting, "408", "Request Timeout"
            )
        self.waiting.append(waiting)
        self.pump()

    def _end(self, waiting: Waiting, status: str, text: str) -> None:
        if waiting.expires is not None:
            waiting.expires.cancel()
        if waiting in self.waiting:
            self.waiting.remove(waiting)
            self._used_s = self._loop.time()
            headers = {"Status": status, "Description": text}
            self._send(waiting.reply, waiting.reply, b"", headers, "")

    def pump(self) -> None:
        """Deliver what there is to who waits; who does not want to wait is told so."""
        while self.waiting and (kept := self._next()) is not None:
            first = self.waiting[0]
            if first.most_bytes and len(kept.body) > first.most_bytes:
                self._end(first, "409", "Message Size Exceeds MaxBytes")
                continue
            if not self._deliver(first, kept):
                self.waiting.popleft()  # whoever asked is gone
                if first.expires is not None:
                    first.expires.cancel()
                continue
            self._took(kept)
            first.left -= 1
            if first.left == 0:
                self.waiting.popleft()
                if first.expires is not None:
                    first.expires.cancel()
        for waiting in [each for each in self.waiting if each.no_wait]:
            self._end(waiting, "404", "No Messages")

    def _next(self) -> Kept | None:
        while self._again:
            sequence = self._again[0].sequence
            attempts = self.attempts.get(sequence, 0)
            if attempts and attempts != self.config.get("max_deliver"):
                return self._again[0]
            self._again.popleft()
            if attempts:  # else it was acknowledged late, by whoever had it before
                self.exceeded(sequence, self.attempts.pop(sequence))
        limit = self.config.get("max_ack_pending", -1)
        if not self._fresh or 0 < limit <= len(self.pending):
            return None
        return self._fresh[0]

    def _deliver(self, waiting: Waiting, kept: Kept) -> bool:
        attempt = self.attempts.get(kept.sequence, 0) + 1
        left = self.backlog - 1
        numbers = f"{attempt}.{kept.sequence}.{self.delivered + 1}.{kept.stored_ns}.{left}"
        reply = f"$JS.ACK.{self._stream.name}.{self.name}.{numbers}"
        return self._send(waiting.reply, kept.subject, kept.body, kept.headers, reply)

    def _took(self, kept: Kept) -> None:
        """Note that a message is out."""
        (self._again or self._fresh).popleft()
        self.delivered += 1
        self.reached = max(self.reached, kept.sequence)
        if self.config["ack_policy"] == "explicit":
            self.attempts[kept.sequence] = self.attempts.get(kept.sequence, 0) + 1
            self.pending[kept.sequence] = Pending(kept, self._patience(kept.sequence))
            self._watch()

    def _patience(self, sequence: int) -> float:
        """Until when an answer to the latest delivery is waited for."""
        waits = self.config.get("backoff") or [self.config["ack_wait"]]
        wait_ns = waits[min(self.attempts[sequence], len(waits)) - 1]
        return self._loop.time() + float(wait_ns) / 1e9

    def _watch(self) -> None:
        """Wake when the first delivery is to be given up."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.pending and not self.deleted:
            first_s = min(each.deadline_s for each in self.pending.values())
            self._timer = self._loop.call_at(first_s, self._give_up)

    def _give_up(self) -> None:
        now_s = self._loop.time()
        for sequence, each in tuple(self.pending.items()):
            if each.deadline_s > now_s:
                continue
            del self.pending[sequence]
            self._again.append(each.kept)
        self._watch()
        self.pump()

    def answer(self, sequence: int, word: bytes) -> None:
        """A message is done, given back, ended, or still being worked on."""
        pending = self.pending.get(sequence)
        if word.startswith((b"+ACK", b"+TERM")):
            if self.attempts.pop(sequence, 0):
                self.pending.pop(sequence, None)
                self.acknowledged(self._stream.records[sequence])
        elif pending is None:
            return
        elif word.startswith(b"+WPI"):
            pending.deadline_s = self._patience(sequence)
        elif word.startswith(b"-NAK"):
            told = msgspec.json.decode(word[4:].strip() or b"{}")
            pending.deadline_s = self._loop.time() + told.get("delay", 0) / 1e9
        if self.pending or self._timer is not None:
            self._watch()
        self.pump()

    def forget_requests(self) -> None:
        """The server was killed: nobody waits any more; what is out stays out."""
        for waiting in self.waiting:
            if waiting.expires is not None:
                waiting.expires.cancel()
        self.waiting.clear()

    def delete(self) -> None:
        """Go, and tell who waits."""
        self.deleted = True
        for waiting in tuple(self.waiting):
            self._end(waiting, "409", "Consumer Deleted")
        self._watch()

    def _reap(self) -> None:
        """Go when nobody has asked for long."""
        threshold_s = self.config["inactive_threshold"] / 1e9
        now_s = self._loop.time()
        if self.waiting:
            self._used_s = now_s
        if now_s >= self._used_s + threshold_s:
            self.deleted = True
        if not self.deleted:
            self._loop.call_at(self._used_s + threshold_s, self._reap)


def _epoch_ns(stamp: str | None) -> int:
    if stamp is None:
        return 0
    return round(datetime.fromisoformat(stamp).timestamp() * 1_000) * 1_000_000
