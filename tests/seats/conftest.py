"""A foreign program beside the system: it knows NATS and JSON, and what it is told on joining."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from actors.bus.nats_bus import NatsBus, connect
from actors.settings import BusSettings
from subjects import names
from tests.harness.engines import Gated
from tests.harness.events import until
from tests.harness.system import Client, Reply, System

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def says(text: str) -> Answer:
    """Answers every request with a text, or with a ballot where one is asked for."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        schema = request.get("response_schema")
        return {"content": json.dumps(ballot(schema)) if schema else text}

    return answer


def ballot(schema: dict[str, Any]) -> dict[str, Any]:
    """The first ranking that a ballot's schema allows."""
    ranking = schema["properties"]["ranking"]
    if "enum" in ranking:
        return {"ranking": ranking["enum"][0], "approve": []}
    return {"ranking": ranking["items"]["enum"], "approve": []}


async def seats_of(system: System, role: str = "DEV") -> list[str]:
    reply = await system.client.call(names.COUNCIL_GET, {"role": role})
    return [each["id"] for each in reply.body["seats"]]


class Program:
    """A seat held by plain calls; `loop` takes every request until it is stopped."""

    def __init__(self, bus: NatsBus, role: str, seat: str) -> None:
        self.bus = bus
        self.role = role
        self.seat = seat
        self.taken: list[dict[str, Any]] = []
        self.joined: dict[str, Any] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, subject: str, **fields: Any) -> Reply:
        body = {"role": self.role, "seat": self.seat} | fields
        return await Client(self.bus).call(subject, body)

    async def join(self, **fields: Any) -> Reply:
        reply = await self.ask(names.COUNCIL_JOIN, **fields)
        if reply.error is None:
            self.joined = reply.body
        return reply

    async def beat(self, **fields: Any) -> Reply:
        lease = {"lease": self.joined["lease"]} | fields
        return await self.ask(self.joined["heartbeat_subject"], **lease)

    async def leave(self, **fields: Any) -> Reply:
        lease = {"lease": self.joined["lease"]} | fields
        return await self.ask(names.COUNCIL_LEAVE, **lease)

    def loop(self, answer: Answer) -> None:
        self._tasks.append(asyncio.create_task(self._take(answer)))

    async def _take(self, answer: Answer) -> None:
        puller = await self.bus.join(self.joined["stream"], self.joined["consumer"])
        while True:
            for delivery in await puller.fetch(1, wait=True):
                request = json.loads(delivery.record.body)
                self.taken.append(request)
                await delivery.in_progress()
                await self.respond(request, **answer(request))
                await delivery.ack()

    async def respond(self, request: dict[str, Any], **fields: Any) -> None:
        echoed = {name: request[name] for name in ("task_id", "round", "seat", "token")}
        subject = self.joined["response_subject"].replace("{task_id}", request["task_id"])
        await self.bus.store(subject, json.dumps(echoed | fields).encode())

    async def pause(self) -> None:
        """Take nothing any more; nobody is told."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        await self.pause()
        await self.bus.close()


async def has_spoken(system: System, guest: Program, text: str) -> tuple[Gated, str]:
    """Start a system and a ranked deliberation in which only `guest` has answered yet.

    Returns the engine that holds the other seats back, and the task.
    """
    engine = Gated()
    await system.core()
    await system.agent(engine)
    await guest.join()
    guest.loop(says(text))
    task_id = (await system.client.ask(protocol="ranked")).task_id
    await until(lambda: guest.taken)
    return engine, task_id


@pytest.fixture
async def program(system: System, nats_settings: BusSettings) -> AsyncIterator[Callable[..., Any]]:
    """Makes programs that have a connection of their own; `system` outlives them."""
    made: list[Program] = []

    async def make(role: str = "DEV", seat: str = "guest", **settings: Any) -> Program:
        bus = await connect(settings.get("settings", nats_settings), f"program {seat}")
        made.append(Program(bus, role, seat))
        return made[-1]

    yield make
    for each in made:
        await each.stop()
