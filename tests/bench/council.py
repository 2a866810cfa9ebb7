"""A council made for a benchmark, asked over NATS as any client would ask it."""

import asyncio
from types import TracebackType
from typing import Any, Self

from actors.bus import Bus, Message
from actors.bus.nats_bus import connect
from actors.settings import BusSettings
from schemas.agent import AgentRequest
from schemas.codec import decode, encode
from schemas.council import CouncilCreate, Sampling, Seat
from schemas.deliberation import Accepted, DeliberationRequest
from schemas.errors import ERROR_HEADER
from schemas.result import Deliberation
from subjects import names
from subjects.streams import DELIBERATIONS

ROLE = "BENCH"
FOCUS = ("cost", "latency", "failure", "security", "naming", "tests", "data", "rollback", "limits")
SECONDS = 120.0


class Council:
    """A council of `size` seats, or of `seats`, and a client of it."""

    def __init__(self, nats: BusSettings, size: int = 0, seats: tuple[Seat, ...] = ()) -> None:
        self._nats = nats
        self._seats = seats or tuple(map(_seat, range(1, size + 1)))
        self._bus: Bus
        self._over: dict[str, asyncio.Future[Deliberation]] = {}

    async def __aenter__(self) -> Self:
        self._bus = await connect(self._nats, "bench council")
        for subject in names.PUBLIC_OUTCOMES:
            await self._bus.serve(subject, self._on_over)
        await self._call(names.COUNCIL_CREATE, CouncilCreate(role=ROLE, seats=self._seats))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._bus.close()

    async def _on_over(self, message: Message) -> None:
        over = decode(Deliberation, message.body)
        self._future(over.task_id).set_result(over)

    def _future(self, task_id: str) -> asyncio.Future[Deliberation]:
        return self._over.setdefault(task_id, asyncio.get_running_loop().create_future())

    async def _call(self, subject: str, body: object) -> bytes:
        reply = await self._bus.request(subject, encode(body), timeout_s=10.0)
        if ERROR_HEADER in reply.headers:
            raise RuntimeError(f"{subject}: {reply.body.decode()}")
        return reply.body

    async def ask(
        self, task: str, seats: int, *, max_tokens: int, seed: int, context: str = ""
    ) -> Deliberation:
        """Ask the first `seats` seats; return the public outcome, which must be complete."""
        over = await self.deliberate(
            task,
            num_agents=seats,
            protocol="independent",
            context=context,
            sampling=Sampling(max_tokens=max_tokens, seed=seed),
        )
        if over.status != "COMPLETED" or over.failures:
            raise RuntimeError(f"{over.status}: {over.reason} {over.failures}")
        return over

    async def deliberate(self, task: str, role: str = ROLE, **fields: Any) -> Deliberation:
        """Ask with any fields of the request; return the public outcome, whatever it is."""
        request = DeliberationRequest(task_description=task, role=role, **fields)
        accepted = decode(Accepted, await self._call(names.REQUEST, request))
        async with asyncio.timeout(SECONDS):
            return await self._future(accepted.task_id)

    async def asked(self, task_id: str, seats: int) -> list[AgentRequest]:
        """Return what the seats of the newest deliberation were really sent, in seat order."""
        subject = names.agent_request(ROLE)
        last = await self._bus.last_sequence(DELIBERATIONS)
        found: list[AgentRequest] = []
        start = max(1, last - 20 * seats)
        for record in await self._bus.scan(DELIBERATIONS, subject, start, 1_000):
            request = decode(AgentRequest, record.body)
            if request.task_id == task_id:
                found.append(request)
        return sorted(found, key=lambda request: request.seat)


def _seat(number: int) -> Seat:
    focus = FOCUS[number % len(FOCUS)]
    return Seat(id=f"seat-{number:02d}", persona=f"engineer {number} who cares for {focus}")
