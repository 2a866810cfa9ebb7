"""When the server dies, hangs or comes back: nothing stored is lost, nothing hangs."""

import asyncio
import time
from contextlib import aclosing

import pytest

from actors.bus import Unavailable
from actors.bus.nats_bus import NatsBus, connect
from actors.settings import BusSettings
from subjects.streams import DELIBERATIONS, agent_consumer, streams
from tests.bus.messages import WORK
from tests.harness.events import until, until_async
from tests.harness.nats_server import Server


async def restarted(server: Server, bus: NatsBus) -> None:
    """Kill the server, start it again, and wait until the bus is back."""
    server.kill()
    await until(lambda: not bus._nc.is_connected)
    server.start()
    await until_async(bus.healthy)


async def test_a_server_that_is_gone_is_noticed_within_seconds(
    own_server: Server, own_bus: NatsBus
):
    assert await own_bus.healthy()
    own_server.kill()
    begun = time.monotonic()
    assert not await own_bus.healthy()
    assert time.monotonic() - begun < 3


async def test_a_server_that_hangs_is_noticed_within_seconds(own_server: Server, own_bus: NatsBus):
    own_server.pause()
    assert not await own_bus.healthy(0.3)
    own_server.resume()
    await until_async(own_bus.healthy)


async def test_the_bus_is_back_soon_after_the_server_is(own_server: Server, own_bus: NatsBus):
    own_server.kill()
    await until(lambda: not own_bus._nc.is_connected)
    own_server.start()
    begun = time.monotonic()
    await until_async(own_bus.healthy)
    assert time.monotonic() - begun < 5


async def test_subscriptions_outlive_a_restart(own_server: Server, own_bus: NatsBus):
    heard: list[bytes] = []

    async def hear(message) -> None:
        heard.append(message.body)

    await own_bus.serve("news", hear)
    await restarted(own_server, own_bus)
    await own_bus.publish("news", b"still here")
    await until(lambda: heard)
    assert heard == [b"still here"]


async def test_a_subscription_that_is_not_confirmed_is_taken_back(
    own_server: Server, own_bus: NatsBus
):
    before = tuple(own_bus._nc._subs)
    own_server.pause()
    with pytest.raises(Unavailable):
        await own_bus.listen("news", print)
    assert tuple(own_bus._nc._subs) == before


async def test_a_store_outlives_a_restart_and_stores_once(own_server: Server, own_bus: NatsBus):
    await own_bus.store(WORK, b"before")
    own_server.kill()
    storing = asyncio.ensure_future(own_bus.store(WORK, b"during", message_id="m-1"))
    await asyncio.sleep(0.2)
    own_server.start()
    await asyncio.wait_for(storing, 12)
    records = await own_bus.scan(DELIBERATIONS, WORK)
    assert [each.body for each in records] == [b"before", b"during"]


async def test_a_store_gives_up_when_the_server_stays_away(
    own_server: Server, own_bus: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("actors.bus.nats_bus.STORE_DEADLINE_S", 0.3)
    own_server.kill()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(own_bus.store(WORK, b"x"), 5)


async def test_what_was_stored_is_there_after_a_restart(own_server: Server, own_bus: NatsBus):
    for number in range(50):
        await own_bus.store(WORK, str(number).encode())
    await restarted(own_server, own_bus)
    assert len(await own_bus.scan(DELIBERATIONS, WORK)) == 50


async def test_following_a_stream_that_was_made_anew_begins_anew(own_bus: NatsBus):
    """Else what is stored in it before its end is as far as the old one's would never be seen."""
    for _ in range(3):
        await own_bus.store(WORK, b"old")
    async with aclosing(own_bus.follow(DELIBERATIONS, [WORK], since_ms=0)) as records:
        for _ in range(4):
            await anext(records)  # all three, and that these are all
        await own_bus.api(f"STREAM.DELETE.{DELIBERATIONS}", {})
        for stream in streams(max_age_s=0, max_bytes=-1, replicas=1):
            await own_bus.ensure(stream)
        await own_bus.store(WORK, b"new")
        with pytest.raises(Unavailable, match="ends at 1"):
            await anext(records)


async def test_following_goes_on_after_a_restart_without_gap_or_double(
    own_server: Server, own_bus: NatsBus
):
    for number in range(3):
        await own_bus.store(WORK, str(number).encode())
    async with aclosing(own_bus.follow(DELIBERATIONS, [WORK], since_ms=0)) as records:
        before = [await anext(records) for _ in range(4)]
        waiting = asyncio.ensure_future(anext(records))
        await restarted(own_server, own_bus)
        for number in range(3, 6):
            await own_bus.store(WORK, str(number).encode())
        after = [await asyncio.wait_for(waiting, 15), await anext(records), await anext(records)]
    assert [each.body for each in before[:3] + after] == [b"0", b"1", b"2", b"3", b"4", b"5"]


async def test_pulling_goes_on_after_a_restart(own_server: Server, own_bus: NatsBus):
    puller = await own_bus.pull(agent_consumer("DEV"))
    waiting = asyncio.ensure_future(puller.fetch(1, wait=True))
    await restarted(own_server, own_bus)
    await own_bus.store(WORK, b"after")
    found = await asyncio.wait_for(waiting, 10)
    async with asyncio.timeout(10):
        while not found:
            found = await puller.fetch(1, wait=True)
    assert found[0].record.body == b"after"


async def test_unfinished_work_comes_again_after_a_restart(own_server: Server, own_bus: NatsBus):
    await own_bus.store(WORK, b"work")
    puller = await own_bus.pull(agent_consumer("DEV"))
    (first,) = await puller.fetch(1, wait=True)
    await restarted(own_server, own_bus)
    await first.nak()
    found = []
    async with asyncio.timeout(20):
        while not found:
            found = await puller.fetch(1, wait=True)
    assert found[0].record.body == b"work"


async def test_no_server_at_all_is_unavailable():
    with pytest.raises(Unavailable, match="nats://127"):
        await connect(BusSettings(url="nats://127.0.0.1:9"), "x", timeout_s=0.3)


async def test_wrong_credentials_are_unavailable(own_server: Server):
    settings = BusSettings(url=own_server.account().url, user="t0", password="wrong")
    with pytest.raises(Unavailable, match="refuses our credentials"):
        await connect(settings, "x", timeout_s=5)


async def test_who_connects_early_waits_for_the_server(own_server: Server):
    settings = own_server.account()
    own_server.kill()
    connecting = asyncio.ensure_future(connect(settings, "early", timeout_s=10))
    await asyncio.sleep(0.2)
    own_server.start()
    bus = await connecting
    assert await bus.healthy()
    await bus.close()
