"""What could not be stored is tried again, and never so often as to be a load of its own."""

import asyncio
import time

import pytest

from actors.bus import Message, Unavailable
from actors.bus.nats_api import CREATE_ATTEMPTS
from actors.bus.nats_bus import NatsBus, connect
from actors.bus.retry_budget import MOST, PER_SECOND, SHARE
from actors.settings import BusSettings
from subjects import names
from subjects.streams import DELIBERATIONS, streams
from tests.harness.nats_server import Server

NO_ROOM = b'{"error": {"code": 503, "err_code": 10077, "description": "no room"}}'
STORES = 300


async def test_a_stream_without_room_is_not_stormed(
    bus: NatsBus, nats_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("actors.bus.nats_bus.STORE_DEADLINE_S", 2.0)
    stream = await connect(nats_settings, "a full stream")
    attempts = 0

    async def refuse(message: Message) -> None:
        nonlocal attempts
        attempts += 1
        await stream.publish(message.reply, NO_ROOM)

    await stream.serve("full", refuse)
    begun = time.monotonic()
    results = await asyncio.gather(
        *(bus.store("full", b"x") for _ in range(STORES)), return_exceptions=True
    )
    passed_s = time.monotonic() - begun
    assert {type(each) for each in results} == {Unavailable}
    assert attempts > STORES
    assert attempts - STORES <= MOST + STORES * SHARE + passed_s * PER_SECOND
    await stream.close()


async def test_retries_that_are_not_made_cost_nothing(
    own_server: Server, own_bus: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    """Else whoever stores after an outage would wait for what hundreds had given up."""
    monkeypatch.setattr("actors.bus.nats_bus.STORE_DEADLINE_S", 0.1)
    own_server.pause()
    monkeypatch.setattr("actors.bus.nats_bus.ATTEMPT_S", 0.1)
    stores = (own_bus.store(names.opened(f"t-{number}"), b"x") for number in range(STORES))
    assert {type(each) for each in await asyncio.gather(*stores, return_exceptions=True)} == {
        Unavailable
    }
    assert own_bus._budget.spent == 0
    own_server.resume()


async def test_what_never_reached_the_server_is_stored_as_soon_as_it_is_back(
    own_server: Server, own_bus: NatsBus
):
    own_server.kill()
    stores = [
        asyncio.ensure_future(own_bus.store(names.opened(f"t-{number}"), b"x"))
        for number in range(STORES)
    ]
    await asyncio.sleep(0.5)
    own_server.start()
    await asyncio.gather(*stores)
    assert await own_bus.last_sequence(DELIBERATIONS) >= STORES
    assert own_bus._budget.spent < STORES / 2


class Losses:
    """Loses what a bus publishes on subjects that begin so, the first `most` times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bus: NatsBus, prefix: str, most: int):
        self.asked = 0
        self._publish, self._prefix, self._most = bus.publish, prefix, most
        monkeypatch.setattr(bus, "publish", self._lossy)

    async def _lossy(self, subject: str, body: bytes, headers=None, reply: str = "") -> None:
        if subject.startswith(self._prefix):
            self.asked += 1
            if self.asked <= self._most:
                return
        await self._publish(subject, body, headers, reply)


CREATE = "$JS.API.STREAM.CREATE"
READ = "$JS.API.DIRECT.GET"


async def test_a_create_that_nobody_answered_is_asked_again(
    nats_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("actors.bus.nats_api.CREATE_S", 0.2)
    bus = await connect(nats_settings, "test")
    losses = Losses(monkeypatch, bus, CREATE, 2)
    await bus.ensure(streams(max_age_s=0, max_bytes=-1, replicas=1)[0])
    assert losses.asked == 3
    await bus.close()


async def test_a_create_that_is_never_answered_ends_as_unavailable(
    nats_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("actors.bus.nats_api.CREATE_S", 0.02)
    bus = await connect(nats_settings, "test")
    losses = Losses(monkeypatch, bus, CREATE, CREATE_ATTEMPTS)
    with pytest.raises(Unavailable, match="no answer on"):
        await bus.ensure(streams(max_age_s=0, max_bytes=-1, replicas=1)[0])
    assert losses.asked == CREATE_ATTEMPTS
    await bus.close()


@pytest.mark.parametrize("lost", [0, 1, 2])
async def test_a_read_that_nobody_answered_is_asked_again(
    bus: NatsBus, monkeypatch: pytest.MonkeyPatch, lost: int
):
    monkeypatch.setattr("actors.bus.nats_bus.FIRST_REPLY_S", (0.1, 0.1, 5.0))
    await bus.store(names.opened("t-1"), b"x")
    losses = Losses(monkeypatch, bus, READ, lost)
    assert len(await bus.last(DELIBERATIONS, [names.ANY_OPENED])) == 1
    assert losses.asked == lost + 1


async def test_a_read_that_is_never_answered_ends_as_unavailable(
    bus: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("actors.bus.nats_bus.FIRST_REPLY_S", (0.1, 0.1))
    losses = Losses(monkeypatch, bus, READ, 2)
    with pytest.raises(Unavailable, match="cut short"):
        await bus.last(DELIBERATIONS, [names.ANY_OPENED])
    assert losses.asked == 2
