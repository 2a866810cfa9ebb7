"""The members of all councils: foreign programs that hold a seat for as long as they are heard of.

Answers `deliberation.council.join` and `.leave` for the registry, hears `agent.heartbeat.<queue>`,
and takes the seat from whoever has missed three of them, or has let three deliberations in a row
wait for it in vain. Memberships are stored with their council, so they outlive the registry; what
was missed is counted anew then.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from random import random

from msgspec.structs import replace

from actors.actor import keep_running
from actors.bus import Bus, BusError, Conflict, Headers, Message, Subscription, Unavailable
from actors.councils import CouncilDirectory, membership
from actors.councils.seat_queues import SeatQueues
from actors.councils.silence import Silences, Waited
from actors.replying import refusal, reply
from actors.tasks import TaskSet
from schemas.codec import read
from schemas.council import (
    Alive,
    Council,
    CouncilJoin,
    CouncilLeave,
    Departed,
    Heartbeat,
    Joined,
    Left,
    Member,
    Why,
)
from schemas.errors import BadMessage, Refused
from subjects import names

log = logging.getLogger(__name__)

HEARD = (names.COMPLETED, names.TIMEOUT)
TICK_S = 0.25
REFRESH_S = 30.0
ATTEMPTS = 20
JITTER_S = 0.005
"""So often a change is tried that another registry was faster with, and out of step with it."""


class Members:
    """See the module. `keep_ms` is how long a deliberation may still ask a seat that is gone."""

    def __init__(
        self, bus: Bus, councils: CouncilDirectory, clock: Callable[[], int], keep_ms: int
    ) -> None:
        self._bus = bus
        self._councils = councils
        self._clock = clock
        self._keep_ms = keep_ms
        self._queues = SeatQueues(bus, clock)
        self._heard_s: dict[str, float] = {}
        self._changing = asyncio.Lock()
        self._loops = TaskSet("members' loops")
        self._silences = Silences()
        self._work = TaskSet("members' work")
        self._heartbeats: Subscription | None = None
        self._outcomes: list[Subscription] = []
        self._joined = self._left = self._lost = self._failed = 0

    def counters(self) -> dict[str, int]:
        """How many joined, left and were lost, and how much open work failed with them."""
        return {
            "members": sum(len(council.members) for council in self._councils.all()),
            "joined": self._joined,
            "left": self._left,
            "lost": self._lost,
            "failed": self._failed,
        }

    async def start(self, failed: asyncio.Event) -> None:
        """Watch over who is a member already; sets `failed` when that cannot go on."""
        self._heartbeats = await self._bus.serve(names.ANY_HEARTBEAT, self._on_heartbeat)
        keep_running(self._loops, failed, "members", self._watch)
        keep_running(self._loops, failed, "councils", self._refresh)

    async def drain(self) -> None:
        """Watch no longer; the seats stay theirs."""
        if self._heartbeats is not None:
            await self._heartbeats.close()
        await self._loops.cancel()
        await self._work.cancel()
        await self._hear_outcomes(wanted=False)

    async def handle_join(self, request: CouncilJoin) -> Joined:
        """Give a program its seat, or the one it has. Raises Refused, BusError."""
        queue = membership.queue_for(request)
        lease = request.lease or secrets.token_hex(16)
        opened = False
        async with self._changing:
            for attempt in range(ATTEMPTS):
                await asyncio.sleep(attempt * JITTER_S * random())  # noqa: S311 -- no secret
                sequence, council = await self._council_for(request)
                changed = membership.seated(council, request, lease, self._clock())
                if changed == council:
                    await self._queues.keep(council, queue, request.max_concurrency)
                else:
                    if not opened:
                        await self._queues.open(council, queue, request.max_concurrency)
                        opened = True
                    try:
                        await self._councils.store(changed, sequence)
                    except Conflict:
                        continue
                    self._took(request.role, request.seat, queue)
                self._heard_s[queue] = _now_s()
                return membership.joined(changed, request.seat, lease)
        raise _contended(request.role)

    def _took(self, role: str, seat: str, queue: str) -> None:
        self._joined += 1
        self._queues.taken(queue)
        self._silences.forget(role, seat)

    async def _council_for(self, request: CouncilJoin) -> tuple[int, Council]:
        sequence, council = await self._councils.present(request.role)
        if council is not None and not council.deleted:
            return sequence, council
        if names.is_seat_queue(request.role):
            raise Refused("bad_request", f"{request.role} is the name of a queue", "$.role")
        if not request.create:
            text = f"no council {request.role}; `create` would make it"
            raise Refused("unknown_role", text, "$.role")
        departed = council.departed if council is not None else ()
        created = Council(
            role=request.role, seats=(), created_at_ms=self._clock(), departed=departed
        )
        return sequence, created

    async def handle_leave(self, request: CouncilLeave) -> Left:
        """Take a program's seat back from it. Raises Refused, BusError."""

        def check(council: Council | None) -> Member:
            return membership.member(council, request.seat, request.lease)

        now_ms = self._clock()
        failed = await self._remove(request.role, "seat_left", check)
        self._left += 1
        return Left(role=request.role, seat=request.seat, left_at_ms=now_ms, failed=failed)

    async def _lose(self, role: str, lost: Member, code: Why = "seat_lost") -> None:
        def check(council: Council | None) -> Member:
            if council is None or lost not in council.members:
                raise Refused("unknown_seat", "it is gone already")
            if code == "seat_lost" and not self._overdue(role, lost):
                raise Refused("conflict", "it was heard of while we looked")
            return lost

        try:
            await self._remove(role, code, check)
        except Refused:
            return
        self._lost += 1
        log.warning("seat taken away role=%s seat=%s code=%s", role, lost.seat, code)

    async def _remove(self, role: str, code: Why, check: Callable[[Council | None], Member]) -> int:
        """Remove the member that `check` finds; return how much open work failed with it."""
        async with self._changing:
            for attempt in range(ATTEMPTS):
                await asyncio.sleep(attempt * JITTER_S * random())  # noqa: S311 -- no secret
                sequence, council = await self._councils.present(role)
                seat = check(council).seat
                assert council is not None  # noqa: S101 -- `check` found a member in it
                departed = await self._queues.departing(role, seat, code)
                try:
                    await self._councils.store(self._pruned(council, departed), sequence)
                except Conflict:
                    continue
                return await self.cease([departed])
        raise _contended(role)

    def _pruned(self, council: Council, departed: Departed) -> Council:
        pruned = membership.unseated(council, departed)
        kept = tuple(each for each in pruned.departed if self._still_asked(each))
        return replace(pruned, departed=kept)

    def _still_asked(self, departed: Departed) -> bool:
        return departed.left_at_ms + self._keep_ms > self._clock()

    async def departing(self, council: Council) -> list[Departed]:
        """What is to be stored of the members of a council that is deleted. Raises BusError."""
        held = (member.seat for member in council.members)
        return [await self._queues.departing(council.role, seat, "seat_left") for seat in held]

    async def cease(self, departed: list[Departed]) -> int:
        """See to those who are members no longer; return how much open work failed with them."""
        for each in departed:
            self._heard_s.pop(each.queue, None)
        failed = await self._queues.close(departed)
        self._failed += failed
        return failed

    async def _watch(self) -> None:
        self._heard_s.clear()
        while True:
            await self._tick()
            await self._hear_outcomes(wanted=any(each.members for each in self._councils.all()))
            for council in self._councils.known():
                for member in council.members if not council.deleted else ():
                    if self._overdue(council.role, member):
                        await self._lose(council.role, member)
                for departed in council.departed:
                    if self._still_asked(departed):
                        self._failed += await self._queues.sweep(departed)

    async def _tick(self) -> None:
        """Wait a moment; what it took longer is nobody's silence: we stood still, or NATS did."""
        begun_s = _now_s()
        await asyncio.sleep(TICK_S)
        if self._heard_s and not await self._bus.healthy():
            raise Unavailable("nobody can be heard now")
        lost_s = _now_s() - begun_s - TICK_S
        self._heard_s = {queue: heard_s + lost_s for queue, heard_s in self._heard_s.items()}

    async def _hear_outcomes(self, *, wanted: bool) -> None:
        """Outcomes tell which members are silent; as long as there are none, nobody need look."""
        for subject in HEARD[len(self._outcomes) :] if wanted else ():
            self._outcomes.append(await self._bus.listen(subject, self._on_outcome))
        while self._outcomes and not wanted:
            await self._outcomes.pop().close()

    def _overdue(self, role: str, member: Member) -> bool:
        """Whether a member missed its heartbeats; one just met has its time from now."""
        now_s = _now_s()
        heard_s = self._heard_s.setdefault(names.seat_queue(role, member.seat), now_s)
        return now_s - heard_s > membership.MISSED_HEARTBEATS * member.heartbeat_seconds

    def _on_outcome(self, message: Message) -> None:
        try:
            outcome = read(Waited, message.body, message.headers)
        except BadMessage:
            return  # no outcome of ours
        silent = self._silences.heard(outcome)
        council = self._councils.get(outcome.role)
        for member in council.members if council is not None else ():
            if member.seat in silent:
                self._silences.forget(outcome.role, member.seat)
                work = self._lose(outcome.role, member, "seat_silent")
                self._work.spawn(work, f"lose {member.seat}")

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._councils.refresh()

    async def _on_heartbeat(self, message: Message) -> None:
        """Every registry hears every heartbeat, and each answers: the caller takes the first."""
        try:
            beat = read(Heartbeat, message.body, message.headers)
            council = await self._councils.find(beat.role)
            member = membership.member(council, beat.seat, beat.lease)
        except Refused as refused:
            await self._tell(message, *refusal(message.headers, refused))
            return
        except BusError as error:
            log.info("heartbeat not judged error=%s", error)
            return
        self._heard_s[names.seat_queue(beat.role, beat.seat)] = _now_s()
        within_s = membership.MISSED_HEARTBEATS * member.heartbeat_seconds
        alive = Alive(role=beat.role, seat=beat.seat, within_seconds=within_s)
        await self._tell(message, *reply(message.headers, alive))

    async def _tell(self, message: Message, body: bytes, headers: Headers) -> None:
        if message.reply:
            with suppress(BusError):  # who hears nothing asks again
                await self._bus.publish(message.reply, body, headers)


def _now_s() -> float:
    """Seconds that no change of the wall clock can make a silence of."""
    return asyncio.get_running_loop().time()


def _contended(role: str) -> Refused:
    text = f"council {role} is being changed by many at once; try again"
    return Refused("conflict", text, "$.role")
