"""Council registry: keeps the councils.

Listens on `deliberation.council.create|get|list|delete`; stores
`deliberation.council.stored.<role>` by compare-and-set, so several registries agree. The five
default councils are stored once in the life of a system: deleting leaves a tombstone, so one
that was deleted stays deleted.
"""

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from actors.bus import Bus, Conflict
from actors.clock import now_ms
from actors.councils import CouncilDirectory
from actors.defaults import default_councils
from actors.service import Service
from actors.settings import Limits
from schemas.codec import decode, encode
from schemas.council import Council, CouncilCreate, CouncilList, CouncilListQuery, CouncilQuery
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
        self.service = Service(
            bus, "conclave-registry", instance, "keeps the councils", limits=limits
        )
        self.service.endpoint(names.COUNCIL_CREATE, CouncilCreate, self.handle_create)
        self.service.endpoint(names.COUNCIL_GET, CouncilQuery, self.handle_get)
        self.service.endpoint(names.COUNCIL_LIST, CouncilListQuery, self.handle_list)
        self.service.endpoint(names.COUNCIL_DELETE, CouncilQuery, self.handle_delete)

    async def start(self) -> None:
        """See `Actor`."""
        await self._councils.start()
        for council in default_councils():
            await self._store_first(replace(council, created_at_ms=self._clock()))
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
        await self._councils.drain()

    async def handle_create(self, request: CouncilCreate) -> Council:
        """Store a new council. Raises Refused if the role has one or two seats share an id."""
        ids = [seat.id for seat in request.seats]
        if len(set(ids)) < len(ids):
            raise Refused("bad_request", "two seats have the same id", "$.seats")
        sequence, present = await self._present(request.role)
        if present is not None:
            raise _taken(request.role)
        council = Council(
            role=request.role,
            seats=request.seats,
            description=request.description,
            created_at_ms=self._clock(),
        )
        await self._store(council, sequence)
        return council

    async def handle_get(self, request: CouncilQuery) -> Council:
        """The council of a role. Raises Refused when there is none."""
        _, present = await self._present(request.role)
        if present is None:
            raise _unknown(request.role)
        return present

    async def handle_list(self, _: CouncilListQuery) -> CouncilList:
        """Every council."""
        await self._councils.refresh()
        councils = self._councils.all()
        return CouncilList(councils=councils, total=len(councils))

    async def handle_delete(self, request: CouncilQuery) -> Council:
        """Leave a tombstone; deliberations under way go on. Raises Refused when there is none."""
        sequence, present = await self._present(request.role)
        if present is None:
            raise _unknown(request.role)
        gone = replace(present, deleted=True)
        await self._store(gone, sequence)
        return gone

    async def _present(self, role: str) -> tuple[int, Council | None]:
        record = await self._councils.stored(role)
        if record is None:
            return 0, None
        council = decode(Council, record.body)
        return record.sequence, None if council.deleted else council

    async def _store(self, council: Council, after: int) -> None:
        subject = names.council_stored(council.role)
        try:
            await self._bus.store(subject, encode(council), once=subject, after=after)
        except Conflict:
            text = f"council {council.role} was changed at the same moment; look and try again"
            raise Refused("conflict", text, "$.role") from None


def _taken(role: str) -> Refused:
    return Refused("conflict", f"there is a council {role}; delete it first", "$.role")


def _unknown(role: str) -> Refused:
    return Refused("unknown_role", f"no council {role}", "$.role")
