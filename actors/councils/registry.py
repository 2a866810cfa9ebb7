"""Council registry: keeps the councils.

Listens on `deliberation.council.create|get|list|delete|join|leave`; stores
`deliberation.council.stored.<role>` by compare-and-set, so several registries agree. The five
default councils are stored once in the life of a system: deleting leaves a tombstone, so one
that was deleted stays deleted. Who joined is looked after by `actors/councils/members.py`.
"""

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from actors.bus import Bus, Conflict
from actors.clock import now_ms
from actors.councils import CouncilDirectory, membership
from actors.councils.defaults import default_councils
from actors.councils.members import Members
from actors.service import Service
from actors.settings import Limits
from schemas.codec import encode
from schemas.council import (
    Council,
    CouncilCreate,
    CouncilJoin,
    CouncilLeave,
    CouncilList,
    CouncilListQuery,
    CouncilQuery,
)
from schemas.errors import Refused
from subjects import names


class Registry:
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        instance: str,
        limits: Limits | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.failed = asyncio.Event()
        self._bus = bus
        self._clock = clock
        self._councils = CouncilDirectory(bus)
        keep_ms = int((limits or Limits()).max_timeout_seconds * 1000)
        self._members = Members(bus, self._councils, clock, keep_ms)
        self.service = Service(
            bus,
            "conclave-registry",
            instance,
            "keeps the councils",
            limits=limits,
            data=self._members.counters,
        )
        self.service.endpoint(names.COUNCIL_CREATE, CouncilCreate, self.handle_create)
        self.service.endpoint(names.COUNCIL_GET, CouncilQuery, self.handle_get)
        self.service.endpoint(names.COUNCIL_LIST, CouncilListQuery, self.handle_list)
        self.service.endpoint(names.COUNCIL_DELETE, CouncilQuery, self.handle_delete)
        self.service.endpoint(names.COUNCIL_JOIN, CouncilJoin, self._members.handle_join)
        self.service.endpoint(names.COUNCIL_LEAVE, CouncilLeave, self._members.handle_leave)

    async def start(self) -> None:
        """See `Actor`."""
        await self._councils.start()
        for council in default_councils():
            await self._store_first(replace(council, created_at_ms=self._clock()))
        await self._members.start(self.failed)
        await self.service.start()

    async def _store_first(self, council: Council) -> None:
        subject = names.council_stored(council.role)
        try:
            await self._bus.store(subject, encode(council), once=subject)
        except Conflict:
            return  # it is there, or was deleted on purpose

    async def drain(self) -> None:
        """See `Actor`."""
        await self.service.drain()
        await self._members.drain()
        await self._councils.drain()

    async def handle_create(self, request: CouncilCreate) -> Council:
        """Store a new council. Raises Refused if the role has one or two seats share an id."""
        _check(request)
        sequence, present = await self._councils.present(request.role)
        if present is not None and not present.deleted:
            raise _taken(request.role)
        council = Council(
            role=request.role,
            seats=request.seats,
            description=request.description,
            created_at_ms=self._clock(),
            departed=present.departed if present is not None else (),
        )
        await self._store(council, sequence)
        return membership.shown(council)

    async def handle_get(self, request: CouncilQuery) -> Council:
        """The council of a role. Raises Refused when there is none."""
        _, present = await self._present(request.role)
        return membership.shown(present)

    async def handle_list(self, _: CouncilListQuery) -> CouncilList:
        """Every council."""
        await self._councils.refresh()
        councils = tuple(map(membership.shown, self._councils.all()))
        return CouncilList(councils=councils, total=len(councils))

    async def handle_delete(self, request: CouncilQuery) -> Council:
        """Leave a tombstone; deliberations under way go on, without those who had joined.

        Raises Refused when there is no such council.
        """
        sequence, present = await self._present(request.role)
        departed = await self._members.departing(present)
        now_ms = self._clock()
        gone = replace(present, deleted=True, deleted_at_ms=now_ms)
        for each in departed:
            gone = membership.unseated(gone, each)
        await self._store(gone, sequence)
        await self._members.cease(departed)
        return replace(membership.shown(present), deleted=True, deleted_at_ms=now_ms)

    async def _present(self, role: str) -> tuple[int, Council]:
        sequence, council = await self._councils.present(role)
        if council is None or council.deleted:
            raise _unknown(role)
        return sequence, council

    async def _store(self, council: Council, after: int) -> None:
        try:
            await self._councils.store(council, after)
        except Conflict:
            text = f"council {council.role} was changed at the same moment; look and try again"
            raise Refused("conflict", text, "$.role") from None


def _check(request: CouncilCreate) -> None:
    ids = [seat.id for seat in request.seats]
    if len(set(ids)) < len(ids):
        raise Refused("bad_request", "two seats have the same id", "$.seats")
    if names.is_seat_queue(request.role):
        raise Refused("bad_request", _RESERVED.format(request.role), "$.role")
    for number, seat in enumerate(request.seats):
        if seat.queue is not None and names.is_seat_queue(seat.queue):
            path = f"$.seats[{number}].queue"
            raise Refused("bad_request", _RESERVED.format(seat.queue), path)


_RESERVED = "{}: such names are kept for the queues of seats that join"


def _taken(role: str) -> Refused:
    return Refused("conflict", f"there is a council {role}; delete it first", "$.role")


def _unknown(role: str) -> Refused:
    return Refused("unknown_role", f"no council {role}", "$.role")
