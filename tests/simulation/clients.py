"""Programs that ask the council, and write down what they were promised."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from actors.bus import BusError, Message
from actors.bus.nats_bus import NatsBus
from schemas.codec import decode
from schemas.deliberation import Accepted
from subjects import names
from tests.simulation.client import simulated_bus
from tests.simulation.ledger import INTRUDER
from tests.simulation.stream import Kept

if TYPE_CHECKING:
    from tests.simulation.world import World

ATTEMPTS = 60


class Caller:
    """One client with one request, as patient as it must be."""

    def __init__(self, world: "World", request: dict[str, Any]) -> None:
        self._world = world
        self._request = request
        self._draw = world.loop.draw

    async def live(self) -> None:
        """Ask, perhaps again, perhaps cancel; wait for the end."""
        await asyncio.sleep(5.0 * self._draw.random())
        bus = await _connected(self._world)
        try:
            if "task_id" in self._request and self._draw.random() < 0.15:
                await self._hand_in(bus)
                return
            accepted = await self._submit(bus)
            if accepted is None:
                return
            if self._draw.random() < 0.2:
                await self._submit(bus)
            if self._draw.random() < 0.2:
                await asyncio.sleep(3.0 * self._draw.random())
                await self._cancel(bus, accepted.task_id)
            await self._wait(bus, accepted)
        finally:
            await bus.close()

    async def _call(
        self, bus: NatsBus, subject: str, body: dict[str, Any], timeout_s: float = 3.0
    ) -> Any:
        """The decoded reply, or None when nobody answered."""
        try:
            reply: Message = await bus.request(
                subject, json.dumps(body).encode(), timeout_s=timeout_s
            )
        except BusError:
            return None
        return json.loads(reply.body), reply.body

    async def _hand_in(self, bus: NatsBus) -> None:
        """Store the request, whoever is there to take it."""
        task_id = self._request["task_id"]
        for _ in range(ATTEMPTS):
            try:
                await bus.store(names.submission(task_id), json.dumps(self._request).encode())
            except BusError:
                await asyncio.sleep(0.5)
            else:
                self._world.ledger.handed_in.add(task_id)
                return

    async def _submit(self, bus: NatsBus) -> Accepted | None:
        for _ in range(ATTEMPTS):
            told = await self._call(bus, names.REQUEST, self._request)
            if told is not None and "error" not in told[0]:
                accepted = decode(Accepted, told[1])
                self._world.ledger.accepted[accepted.task_id] = accepted
                return accepted
            code = told[0]["error"]["code"] if told is not None else "unavailable"
            if code not in ("unavailable", "unknown_role"):
                self._world.note(f"a good request was refused: {told}")
                return None
            await asyncio.sleep(0.5)
        self._world.note("a good request was never accepted")
        return None

    async def _cancel(self, bus: NatsBus, task_id: str) -> None:
        for attempt in range(ATTEMPTS):
            told = await self._call(bus, names.CANCEL, {"task_id": task_id})
            code = told[0].get("error", {}).get("code", "") if told is not None else "unavailable"
            if code in ("", "already_over"):
                self._check_cancel(task_id, code, attempt == 0)
                return
            if code != "unavailable":
                self._world.note(f"{task_id}: cancel was answered with {told}")
                return
            await asyncio.sleep(0.5)

    def _check_cancel(self, task_id: str, code: str, was_first: bool) -> None:
        """Hold what was told against what is stored."""
        ends = self._ends(task_id)
        is_cancelled = bool(ends) and ".cancelled." in ends[0].subject
        # A link that doubles requests makes two of one, and the second is told the truth.
        was_alone = was_first and not self._world.plan.weather.doubles
        if not ends:
            self._world.note(f"{task_id}: {code or 'cancelled'} without an outcome")
        elif not code and not is_cancelled:
            self._world.note(f"{task_id}: told cancelled, ended {ends[0].subject}")
        elif code and is_cancelled and was_alone:
            self._world.note(f"{task_id}: told already over by its own cancel")

    def _ends(self, task_id: str) -> list[Kept]:
        told = self._world.ledger.by_task[task_id]
        return [kept for kept in told if ".outcome." in kept.subject]

    async def _wait(self, bus: NatsBus, accepted: Accepted) -> None:
        for _ in range(ATTEMPTS):
            query = {"task_id": accepted.task_id, "timeout_seconds": 20.0}
            told = await self._call(bus, names.WAIT, query, 25.0)
            if told is not None and told[0].get("status") not in (None, "PENDING", "IN_PROGRESS"):
                ends = [kept.body for kept in self._ends(accepted.task_id)]
                if told[1] not in ends:
                    self._world.note(f"{accepted.task_id}: waited for what is not the outcome")
                return
            if told is not None and told[0].get("error", {}).get("code") not in (
                None,
                "unavailable",
                "overloaded",
            ):
                self._world.note(f"{accepted.task_id}: wait was answered with {told[0]}")
                return
            await asyncio.sleep(0.5)
        self._world.note(f"{accepted.task_id}: waited in vain")


class Intruder:
    """Somebody who may publish anything, and does."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._draw = world.loop.draw

    async def live(self) -> None:
        """Store garbage and copies among what is stored, now and then."""
        bus = await _connected(self._world)
        for _ in range(self._draw.randint(1, 8)):
            await asyncio.sleep(2.0 * self._draw.random())
            try:
                await bus.publish(*self._message(), {INTRUDER: "yes"})
            except BusError:
                continue
        await bus.close()

    def _message(self) -> tuple[str, bytes]:
        told = [kept for each in self._world.ledger.by_task.values() for kept in each]
        if told and self._draw.random() < 0.6:
            kept = self._draw.choice(told)
            garbage = self._draw.choice([b"", b"{", b"[" * 2_000, kept.body[:-1], b"\xff"])
            if kept.subject.startswith(("deliberation.outcome.", "deliberation.opened.")):
                return names.REQUEST, kept.body  # who may write there is the council itself
            return kept.subject, kept.body if self._draw.random() < 0.5 else garbage
        subject = self._draw.choice(
            [
                names.agent_request("DEV"),
                names.agent_response("t-0"),
                names.opened("t-9"),
                names.REQUEST,
            ]
        )
        return subject, self._draw.choice([b"", b"{}", b'{"task_id": 7}', b"[" * 2_000])


async def _connected(world: "World") -> NatsBus:
    while True:
        try:
            return await simulated_bus(world.network, "client", timeout_s=5.0)
        except BusError:
            await asyncio.sleep(0.2)
