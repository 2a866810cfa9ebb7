"""A client that times its deliberations: until the acknowledgement, and until the outcome."""

import asyncio
import time
from collections.abc import Mapping
from itertools import count
from types import TracebackType
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from actors.bus import Message
from actors.bus.nats_bus import NatsBus, connect
from actors.settings import BusSettings
from schemas.codec import decode, encode
from schemas.deliberation import CancelRequest, DeliberationRequest
from schemas.errors import ERROR_HEADER, ErrorBody, ErrorReply
from schemas.service import StatsReply
from subjects import names
from subjects.streams import DELIBERATIONS

SECONDS = 60.0
QUIET_S = 0.5


class Asked(Struct, frozen=True):
    """A deliberation: how long until it was acknowledged, and until it was over. 0: not waited."""

    task_id: str
    ack_ms: float
    whole_ms: float = 0.0


class TurnedDown(Exception):
    """A request had a typed error for an answer."""

    def __init__(self, error: ErrorBody) -> None:
        super().__init__(f"{error.code}: {error.message}")
        self.error = error


class Asking:
    """Asks, in task ids of its own, so that an outcome is known before the reply came."""

    def __init__(self, nats: BusSettings) -> None:
        self._nats = nats
        self._numbers = count()
        self._over: dict[str, asyncio.Future[float]] = {}
        self.bus: NatsBus

    async def __aenter__(self) -> Self:
        self.bus = await connect(self._nats, "bench asking")
        for subject in names.PUBLIC_OUTCOMES:
            await self.bus.listen(subject, self._on_outcome)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.bus.close()

    async def open(self, **fields: Any) -> Asked:
        """Send a request; return when it is acknowledged. Raises TurnedDown, BusError."""
        asked, _ = await self._open(f"asking-{next(self._numbers)}", fields)
        return asked

    async def ask(self, **fields: Any) -> Asked:
        """Send a request; return when its outcome came, which must be COMPLETED.

        Raises TurnedDown, BusError.
        """
        task_id = f"asking-{next(self._numbers)}"
        over = self._over[task_id] = asyncio.get_running_loop().create_future()
        try:
            asked, begun = await self._open(task_id, fields)
            async with asyncio.timeout(SECONDS):
                ended = await over
        finally:
            del self._over[task_id]
        return replace(asked, whole_ms=(ended - begun) * 1000)

    async def _open(self, task_id: str, fields: Mapping[str, Any]) -> tuple[Asked, float]:
        body = encode(DeliberationRequest(task_id=task_id, **fields))
        begun = time.perf_counter()
        await self._call(names.REQUEST, body)
        return Asked(task_id, (time.perf_counter() - begun) * 1000), begun

    async def cancel(self, task_id: str) -> None:
        """End a deliberation."""
        await self._call(names.CANCEL, encode(CancelRequest(task_id=task_id)))

    async def _call(self, subject: str, body: bytes) -> None:
        reply = await self.bus.request(subject, body, timeout_s=SECONDS)
        if ERROR_HEADER in reply.headers:
            raise TurnedDown(decode(ErrorReply, reply.body).error)

    def _on_outcome(self, message: Message) -> None:
        _, _, status, task_id = message.headers["Nats-Subject"].split(".")
        over = self._over.get(task_id)
        if over is None:
            return
        if message.subject == names.COMPLETED:
            over.set_result(time.perf_counter())
        else:
            over.set_exception(RuntimeError(f"{task_id} ended as {status}"))

    async def counters(self, service: str) -> dict[str, Any]:
        """Return what an actor counts."""
        reply = await self.bus.request(f"$SRV.STATS.{service}", b"")
        return dict(decode(StatsReply, reply.body).data)

    async def forget(self) -> None:
        """Empty the stream, once nothing is under way: what is started next has no past to read."""
        await self.settled()
        await self.bus.api(f"STREAM.PURGE.{DELIBERATIONS}", {})

    async def settled(self) -> None:
        """Return when nothing has been stored for a while."""
        before, now = -1, await self.bus.last_sequence(DELIBERATIONS)
        while now != before:
            await asyncio.sleep(QUIET_S)
            before, now = now, await self.bus.last_sequence(DELIBERATIONS)
