"""The ledger: what a client was promised, beside what became of it.

Every deliberation is sent at its intended time, whatever the system does then. A request without
an answer is repeated under the same task_id: it may have been accepted after all. At the end the
stream tells what was stored and how often; public events are counted as they came by (core NATS,
at most once: some are missed while the server is down, none may come twice).
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterable
from typing import Self

import msgspec
from msgspec import Struct

from actors.bus import Bus, BusError, Message, Subscription
from schemas.codec import decode, encode
from schemas.deliberation import Accepted, Constraints, DeliberationRequest
from schemas.errors import ERROR_HEADER
from schemas.result import Deliberation
from subjects import names
from subjects.streams import DELIBERATIONS

ATTEMPT_S = 2.0
RETRY_S = 0.1
LATE_MS = 1_000
"""A deadline is kept when the outcome is stored at most this much after it."""


class Promise(Struct, kw_only=True):
    """One deliberation as its client sees it; times in seconds since the ledger's start."""

    task_id: str
    intended_s: float
    accepted_s: float | None = None
    deadline_ms: int = 0
    attempts: int = 0
    events: int = 0
    outcomes: list[str] = msgspec.field(default_factory=list)
    seats_heard: int = 0
    late_ms: int = 0


class Verdict(Struct, frozen=True, kw_only=True):
    """The ledger, classified. Lost, doubled, late and unheard must be 0."""

    sent: int
    accepted: int
    never_accepted: int
    repeated: int
    """Requests that were sent more than once."""
    outcomes: dict[str, int]
    lost: list[str]
    """Accepted, and no outcome is stored."""
    doubled: list[str]
    """More than one outcome stored, or more than one public event seen."""
    late: list[str]
    seats_missing: list[str]
    """An outcome that does not tell of every seat exactly once."""
    strangers: list[str]
    """Outcomes of deliberations that nobody sent."""
    events_missed: int
    ack_p50_ms: float
    ack_p99_ms: float
    ack_max_ms: float

    @property
    def clean(self) -> bool:
        return not (
            self.lost or self.doubled or self.late or self.seats_missing
            or self.strangers or self.never_accepted
        )  # fmt: skip


class Ledger:
    """A client that writes down what it is promised."""

    def __init__(self, bus: Bus, *, seats: int, timeout_s: float, role: str = "DEV") -> None:
        self._bus = bus
        self._seats = seats
        self._timeout_s = timeout_s
        self._role = role
        self._promises: dict[str, Promise] = {}
        self._strangers: Counter[str] = Counter()
        self._subscriptions: list[Subscription] = []
        self._started = 0.0

    async def __aenter__(self) -> Self:
        self._started = time.monotonic()
        for subject in names.PUBLIC_OUTCOMES:
            self._subscriptions.append(await self._bus.serve(subject, self._on_event))
        return self

    async def __aexit__(self, *_: object) -> None:
        for subscription in self._subscriptions:
            await subscription.close()

    async def _on_event(self, message: Message) -> None:
        task_id = message.headers["Nats-Subject"].rpartition(".")[2]
        if task_id in self._promises:
            self._promises[task_id].events += 1
        else:
            self._strangers[task_id] += 1

    async def send(self, count: int, per_second: float) -> None:
        """Send `count` deliberations at their intended times; return when all are accepted."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                intended = begun + number / per_second
                await asyncio.sleep(intended - time.monotonic())
                tasks.create_task(self._submit(f"fault-{number:05d}", intended))

    async def _submit(self, task_id: str, intended: float) -> None:
        promise = Promise(task_id=task_id, intended_s=intended - self._started)
        self._promises[task_id] = promise
        body = encode(
            DeliberationRequest(
                task_id=task_id,
                task_description=f"Keep {task_id} whatever dies",
                role=self._role,
                num_agents=self._seats,
                protocol="independent",
                constraints=Constraints(timeout_seconds=self._timeout_s),
            )
        )
        while time.monotonic() < intended + self._timeout_s:
            promise.attempts += 1
            with contextlib.suppress(BusError):
                reply = await self._bus.request(names.REQUEST, body, timeout_s=ATTEMPT_S)
                if ERROR_HEADER not in reply.headers:
                    promise.accepted_s = time.monotonic() - self._started
                    promise.deadline_ms = decode(Accepted, reply.body).deadline_ms
                    return
            await asyncio.sleep(RETRY_S)

    async def settled(self, patience_s: float) -> None:
        """Wait until every promise has an outcome, or for `patience_s`; then read the stream."""
        give_up = time.monotonic() + patience_s
        while True:
            with contextlib.suppress(BusError):
                await self._read_outcomes()
                if all(promise.outcomes for promise in self._promises.values()):
                    break
            if time.monotonic() > give_up:
                break
            await asyncio.sleep(0.5)
        # What would come twice comes soon after.
        await asyncio.sleep(1.0)
        await self._read_outcomes()

    async def _read_outcomes(self) -> None:
        found: dict[str, list[str]] = {task_id: [] for task_id in self._promises}
        start = 1
        while records := await self._bus.scan(DELIBERATIONS, names.ANY_OUTCOME, start):
            for record in records:
                _, _, status, task_id = record.subject.split(".")
                if task_id not in found:
                    self._strangers[task_id] += 1
                    continue
                found[task_id].append(status)
                promise = self._promises[task_id]
                promise.seats_heard = _seats_told(decode(Deliberation, record.body))
                promise.late_ms = record.stored_ms - promise.deadline_ms
            start = records[-1].sequence + 1
        for task_id, outcomes in found.items():
            self._promises[task_id].outcomes = outcomes

    def verdict(self) -> Verdict:
        """Classify every promise."""
        promises = self._promises.values()
        accepted = [promise for promise in promises if promise.accepted_s is not None]
        waits = sorted((p.accepted_s or 0.0) - p.intended_s for p in accepted) or [0.0]
        return Verdict(
            sent=len(promises),
            accepted=len(accepted),
            never_accepted=len(promises) - len(accepted),
            repeated=sum(promise.attempts > 1 for promise in promises),
            outcomes=dict(Counter(status for p in promises for status in p.outcomes)),
            lost=_ids(p for p in accepted if not p.outcomes),
            doubled=_ids(p for p in promises if len(p.outcomes) > 1 or p.events > 1),
            late=_ids(p for p in accepted if p.outcomes and p.late_ms > LATE_MS),
            seats_missing=_ids(p for p in promises if p.outcomes and p.seats_heard != self._seats),
            strangers=sorted(self._strangers),
            events_missed=sum(bool(p.outcomes) and p.events == 0 for p in promises),
            ack_p50_ms=waits[len(waits) // 2] * 1000,
            ack_p99_ms=waits[int(len(waits) * 0.99)] * 1000,
            ack_max_ms=waits[-1] * 1000,
        )


def _seats_told(outcome: Deliberation) -> int:
    heard = [ranked.proposal.author_id for ranked in outcome.results]
    heard += [failure.seat for failure in outcome.failures]
    return len(set(heard)) if len(set(heard)) == len(heard) else -1


def _ids(promises: Iterable[Promise]) -> list[str]:
    return [promise.task_id for promise in promises]
