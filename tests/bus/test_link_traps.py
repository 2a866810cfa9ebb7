"""Traps of nats-py where a link is made, is lost, or is closed."""

import asyncio
import itertools
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from actors.bus import Disconnected, Message, Unavailable, nats_core
from actors.bus.nats_bus import NatsBus, connect
from actors.settings import BusSettings
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.faults.proxy import proxied
from tests.harness.events import until, until_async
from tests.harness.nats_server import Server


async def test_n9_publishing_while_disconnected_raises(own_server: Server, own_bus: NatsBus):
    own_server.kill()
    await until(lambda: not own_bus._nc.is_connected)
    with pytest.raises(Unavailable):
        await own_bus.publish("work", b"x")


async def test_n10_closing_while_disconnected_returns(own_server: Server):
    bus = await connect(own_server.account(), "leaving")
    own_server.kill()
    await until(lambda: not bus._nc.is_connected)
    await asyncio.wait_for(bus.close(), 10)
    assert bus.closed.is_set()


async def test_n11_attempts_to_reconnect_never_run_out(bus: NatsBus):
    assert bus._nc.options["max_reconnect_attempts"] == -1
    assert not bus.closed.is_set()


async def test_n12_a_link_that_is_half_open_is_given_up_and_made_anew(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
):
    """With the pings of every second this takes about three; as it ships, 15."""
    monkeypatch.setattr(nats_core, "PING_INTERVAL_S", 1)
    account = own_server.account()
    async with proxied(own_server.port) as proxy:
        bus = await connect(replace(account, url=proxy.url), "half open")
        heard: list[bytes] = []
        await bus.listen("news", lambda message: heard.append(message.body))
        (link,) = proxy.of("half open")
        link.swallows = True
        assert not await bus.healthy(0.2)
        assert bus._nc.is_connected  # and believes in it still
        await until(lambda: bus.reconnects)
        await until_async(bus.healthy)
        await bus.publish("news", b"again")
        await until(lambda: heard)
        await bus.close()


@pytest.mark.parametrize("then", ["goes on elsewhere", "is closed"])
async def test_n25_what_a_dead_link_never_took_holds_up_nothing(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, then: str
):
    monkeypatch.setattr(nats_core, "PING_INTERVAL_S", 1)
    account = own_server.account()
    async with proxied(own_server.port) as proxy:
        bus = await connect(replace(account, url=proxy.url), "stuck")
        (link,) = proxy.of("stuck")
        link.moves.clear()
        for _ in range(10):
            await bus.publish("news", bytes(4_000_000))
        await until(bus._nc._unsent)
        if then == "goes on elsewhere":
            await until(lambda: bus.reconnects)
            await until_async(bus.healthy)
        async with asyncio.timeout(10):
            await bus.close()
        link.moves.set()


async def test_n12_as_it_ships_it_takes_less_than_thirty_seconds(bus: NatsBus):
    pings = bus._nc.options["max_outstanding_pings"] + 1
    assert bus._nc.options["ping_interval"] * pings <= 15


async def test_n13_a_request_in_flight_fails_when_the_link_is_lost(
    own_server: Server, own_bus: NatsBus
):
    async def never(_: Message) -> None:
        await asyncio.sleep(0)

    await own_bus.serve("slow", never)
    asking = asyncio.ensure_future(own_bus.request("slow", b"", timeout_s=60))
    await own_bus.healthy()
    own_server.kill()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(asking, 5)
    assert not own_bus._replies._futures


@pytest.mark.parametrize(
    "ask",
    [
        lambda bus: bus.last(DELIBERATIONS, [names.ANY_OPENED]),
        lambda bus: bus.scan(DELIBERATIONS, names.ANY_OPENED),
    ],
)
async def test_n13_reading_fails_when_the_link_is_lost(
    own_server: Server, own_bus: NatsBus, ask: Callable[[NatsBus], Awaitable[object]]
):
    """Who waited for the first reply to its end waited ten seconds: a collector, at its start."""
    own_server.pause()
    reading = asyncio.ensure_future(ask(own_bus))
    await until(lambda: own_bus._replies._takers)
    own_server.kill()
    with pytest.raises(Disconnected):
        await asyncio.wait_for(reading, 3)


async def test_n13_gathering_ends_when_the_link_is_lost(own_server: Server, own_bus: NatsBus):
    answered = asyncio.Event()

    async def answer(message: Message) -> None:
        await own_bus.publish(message.reply, b"here")
        assert await own_bus.healthy()  # and so it has arrived
        answered.set()

    await own_bus.serve("everybody", answer)
    gathering = asyncio.ensure_future(own_bus.gather("everybody", b"", 9.0, 9.0))
    await answered.wait()
    own_server.kill()
    assert [reply.body for reply in await asyncio.wait_for(gathering, 3)] == [b"here"]


async def test_n18_an_actor_that_cannot_connect_yet_obeys_a_signal():
    called = asyncio.Event()

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        writer.close()

    silent = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "supervisor", "run", "responder"),
        *("--instance", "early", "--supervised"),
        env=os.environ
        | {"NATS_URL": f"nats://127.0.0.1:{port}", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(20):
            await called.wait()
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        silent.close()


@pytest.mark.parametrize("delay_s", [0.0, 0.19, 0.2, 0.201, 0.4])
async def test_n20_closing_while_reconnecting_leaves_no_task(own_server: Server, delay_s: float):
    """A cancelled attempt of nats-py's may go on for ever, and the process with it."""
    bus = await connect(own_server.account(), "leaving")
    own_server.kill()
    await until(lambda: not bus._nc.is_connected)
    await asyncio.sleep(delay_s)
    await asyncio.wait_for(bus.close(), 5)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [task for task in left if "nats" in repr(task.get_coro())]


async def test_n21_a_flush_that_is_cut_short_leaves_nobody_deaf(
    own_server: Server, own_bus: NatsBus
):
    """Its answer comes for a future that is done; nats-py's read loop ends over that."""
    own_server.pause()
    flushing = asyncio.ensure_future(own_bus._nc.flush(5))
    await asyncio.sleep(0.1)
    flushing.cancel()
    await asyncio.wait((flushing,))
    own_server.resume()
    assert await own_bus.healthy()  # at once, over the same link
    assert own_bus.reconnects == 0


async def test_n22_closing_with_words_unsaid_on_a_dead_link_is_closing(own_server: Server):
    bus = await connect(own_server.account(), "leaving")
    await bus.listen("news", lambda _: None)
    own_server.kill()
    await until(lambda: not bus._nc.is_connected)
    bus._nc._pending.append(b"PUB a 0\r\n\r\n")
    bus._nc._pending_data_size = 11
    await asyncio.wait_for(bus.close(), 10)
    assert bus.closed.is_set()
    assert not bus._nc._subs


async def test_n24_writing_to_a_link_that_has_just_gone_is_to_be_disconnected(
    own_server: Server, own_bus: NatsBus
):
    """Before nats-py knows: the flusher ends first, then everybody writes for himself."""
    own_bus._nc._transport._io_writer.transport.abort()
    with pytest.raises(Disconnected):
        await publish_for_ever(own_bus)
    await until_async(own_bus.healthy)
    assert own_bus.reconnects == 1


async def test_who_is_told_to_stop_while_connecting_leaves_no_connection(
    nats_settings: BusSettings,
):
    """At any moment of it, also just when the link is there (seed 1652 of the simulation)."""
    for moment in itertools.count():
        bus = NatsBus("hasty")
        opening = asyncio.ensure_future(bus.open(nats_settings, 5.0))
        await turns(moment)
        opening.cancel()
        await asyncio.wait((opening,))
        if not opening.cancelled():
            break  # it was there before
        assert not bus._nc.is_connected
    await bus.close()


async def publish_for_ever(bus: NatsBus) -> None:
    while True:
        await bus.publish("news", b"")
        await asyncio.sleep(0)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
