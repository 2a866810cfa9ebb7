"""The ledger: what a client was promised, beside what became of it.

Every deliberation is sent at its intended time, whatever the system does then. A request without
an answer is repeated under the same task_id: it may have been accepted after all. At the end the
stream tells what was stored and how often; public events are counted as they came by (core NATS,
at most once: some are missed while the server is down, none may come twice).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Self

from actors.bus import Bus, BusError, Message, Subscription
from schemas.codec import decode, encode
from schemas.deliberation import Accepted, Constraints, DeliberationRequest
from schemas.errors import ERROR_HEADER
from schemas.result import Deliberation
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.faults.verdict import Promise, Verdict, classified

ATTEMPT_S = 2.0
RETRY_S = 0.1
FILLER = "filler-"
"""What a test stored to fill the stream is nobody's, and no stranger."""


class Ledger:
    """A client that writes down what it is promised.

    `forgetful` is the stream, not the client: it keeps outcomes for a while only.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        seats: int,
        timeout_s: float,
        role: str = "DEV",
        tag: str = "fault",
        forgetful: bool = False,
    ) -> None:
        self.sent = 0
        self._forgetful = forgetful
        self._bus = bus
        self._tag = tag
        self._read_to = 0
        self._seats = seats
        self._timeout_s = timeout_s
        self._role = role
        self._promises: dict[str, Promise] = {}
        self._strangers: set[str] = set()
        self._subscriptions: list[Subscription] = []
        self._started = 0.0
        self._newest_accepted_s = self._newest_ended_s = 0.0
        """When the newest of those that were accepted, or whose end was told, was to be sent."""

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
            promise = self._promises[task_id]
            promise.events += 1
            self._newest_ended_s = max(self._newest_ended_s, promise.intended_s)
        elif not task_id.startswith(FILLER):
            self._strangers.add(task_id)

    async def send(self, count: int, per_second: float) -> None:
        """Send `count` deliberations at their intended times; return when all are accepted."""
        await self._send(per_second, lambda sent: sent < count)

    @contextlib.asynccontextmanager
    async def load(self, per_second: float) -> AsyncIterator[None]:
        """Send at a steady rate while the block lasts; leave it when all are accepted."""
        more = True
        sending = asyncio.create_task(self._send(per_second, lambda _: more))
        try:
            yield
        finally:
            more = False
            await sending

    async def _send(self, per_second: float, more: Callable[[int], bool]) -> None:
        begun = time.monotonic()
        number = 0
        async with asyncio.TaskGroup() as tasks:
            while more(number):
                intended = begun + number / per_second
                await asyncio.sleep(intended - time.monotonic())
                tasks.create_task(self._submit(f"{self._tag}-{self.sent:05d}", intended))
                self.sent += 1
                number += 1

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
                    self._newest_accepted_s = max(self._newest_accepted_s, promise.intended_s)
                    return
            await asyncio.sleep(RETRY_S)

    async def accepts(self) -> float:
        """Return when something that is sent from now on was accepted, and how long that took."""
        now = time.monotonic() - self._started
        while self._newest_accepted_s < now:
            await asyncio.sleep(0.01)
        return time.monotonic() - self._started - now

    async def flows(self) -> None:
        """Return when something that is sent from now on was accepted and has ended."""
        now = time.monotonic() - self._started
        while min(self._newest_accepted_s, self._newest_ended_s) < now:
            await asyncio.sleep(0.01)

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
        # What would come twice comes soon after; what was read before must still be there.
        await asyncio.sleep(1.0)
        if self._forgetful:
            await self._read_outcomes()
            return
        self._read_to = 0
        for promise in self._promises.values():
            promise.outcomes = []
        await self._read_outcomes()

    async def keep_reading(self) -> None:
        """Read outcomes as they come, for a stream that does not keep them until the end."""
        while True:
            with contextlib.suppress(BusError):
                await self._read_outcomes()
            await asyncio.sleep(1.0)

    async def _read_outcomes(self) -> None:
        while records := await self._bus.scan(DELIBERATIONS, names.ANY_OUTCOME, self._read_to + 1):
            for record in records:
                _, _, status, task_id = record.subject.split(".")
                promise = self._promises.get(task_id)
                if promise is None:
                    if not task_id.startswith(FILLER):
                        self._strangers.add(task_id)
                    continue
                promise.outcomes.append(status)
                promise.seats_heard = _seats_told(decode(Deliberation, record.body))
                promise.late_ms = record.stored_ms - promise.deadline_ms
            self._read_to = records[-1].sequence

    def verdict(self) -> Verdict:
        """Classify every promise."""
        return classified(self._promises.values(), self._seats, self._strangers)


def _seats_told(outcome: Deliberation) -> int:
    heard = [ranked.proposal.author_id for ranked in outcome.results]
    heard += [failure.seat for failure in outcome.failures]
    return len(set(heard)) if len(set(heard)) == len(heard) else -1
