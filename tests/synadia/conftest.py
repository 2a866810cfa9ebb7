"""A council behind the facade, and a caller that knows the protocol's bytes and nothing else."""

import asyncio
import json
import os
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from msgspec import Struct

from actors.bus import Message
from actors.bus.nats_bus import NatsBus, connect
from actors.settings import SynadiaSettings
from actors.synadia.facade import Facade
from tests.harness.system import System
from tests.synadia import programs

OWNER = "tests"
PROMPT = "Add retries to the billing client"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """Uvloop alone, as the actors run on."""
    return {"uvloop": uvloop.new_event_loop}


class Stream(Struct):
    """What came in answer to one prompt, up to the terminator, which was there."""

    messages: list[Message]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(each.body) for each in self.messages if not each.headers]

    @property
    def statuses(self) -> list[str]:
        return [each["data"] for each in self.chunks if each["type"] == "status"]

    @property
    def text(self) -> str:
        return "".join(each["data"] for each in self.chunks if each["type"] == "response")

    @property
    def error(self) -> tuple[str, dict[str, Any]] | None:
        """The number and the body of the error, which is the last message if there is one."""
        last = self.messages[-1]
        code = last.headers.get("Nats-Service-Error-Code")
        assert (code is None) == ("Nats-Service-Error" not in last.headers)
        return None if code is None else (code, json.loads(last.body))


async def prompted(bus: NatsBus, body: bytes | dict[str, Any] | str, role: str = "dev") -> Stream:
    """Prompt a council and take all that comes, until the terminator."""
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    elif isinstance(body, str):
        body = body.encode()
    messages: list[Message] = []
    async with asyncio.timeout(30), bus.converse(subject("prompt", role), body) as replies:
        while (reply := await replies.get()).body or reply.headers:
            messages.append(reply)
    return Stream(messages)


def subject(verb: str, role: str = "dev") -> str:
    return f"agents.{verb}.conclave.{OWNER}.{role}"


@pytest.fixture
def caller(system: System) -> NatsBus:
    """A connection beside the system's."""
    return system.client.bus


Offer = Callable[..., Any]


@pytest.fixture
def offer(system: System) -> Offer:
    """Starts a facade."""

    async def start(instance: str = "facade-1", **settings: Any) -> Facade:
        bus = await connect(system.settings, instance)
        chosen = SynadiaSettings(**{"owner": OWNER, "heartbeat_seconds": 1} | settings)
        facade: Facade = await system._start(Facade(bus, instance, chosen), bus)
        return facade

    return start


@pytest.fixture
async def facade(council: System, offer: Offer) -> Facade:
    """The facade of a council that works."""
    return await offer()


@pytest.fixture(scope="session")
def sdk() -> str:
    """The interpreter that has the SDKs; without it the test is skipped, or fails in CI."""
    try:
        return programs.python()
    except programs.Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
