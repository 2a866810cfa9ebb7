"""The traps of nats-py, reproduced with 2.16, each with the test that holds the rule against it.

    trap                                                        rule                     test
    N1   a handler lets CancelledError out: deaf, silently      a task for each message  test_n1_*
    N2   a handler's exception goes to the error callback only  counted and logged       test_n2_*
    N3   auto-unsubscribe loses what came in a burst            it is not used           test_n3_*
    N4   callbacks of a subscription run one after the other    a task for each message  test_n4_*
    N5   the error callback is awaited by the read loop         it only takes note       test_n5_*
    N6   a full pending queue drops messages                    it never fills; counted  test_n6_*
    N7   drain does not wait for work in hand                   own tasks end first      test_n7_*
    N8   a cancellation within drain may be swallowed           it comes through         test_n8_*
    N9   publishing while disconnected is buffered, and lost    it raises                test_n9_*
    N10  drain raises while reconnecting                        closing returns          test_n10_*
    N11  attempts to reconnect run out                          they never do            test_n11_*
    N12  a half-open link is noticed after six minutes          within seconds           test_n12_*
    N13  a request in flight outlives its link                  it fails at once         test_n13_*
    N14  CR LF in a subject is a second command (older ones)    refused                  test_n14_*
    N15  nats.micro sends repr(exception) to the caller         own codes                test_n15_*
    N16  nats.micro drops what is queued when it stops          all is answered          test_n16_*
    N17  a lost pull request stalls the next fetch              it does not              test_n17_*
    N18  signals before and while connecting end in a hang      own handlers come first  test_n18_*
    N19  flush overtakes what is still in the buffer            an own round trip        test_n19_*
    N20  closing while reconnecting leaves a task for ever      it is ended              test_n20_*
    N21  a flush that is cut short ends the read loop           it goes on               test_n21_*
    N22  closing writes to a link that is gone: half undone     nothing is written       test_n22_*
    N24  on uvloop, writing to such a link is a RuntimeError    it is a lost link        test_n24_*

Of older issues of nats-py: the bytes of a subscription are accounted for (#372, test_n6), inboxes
do not pile up (#113, test_n13), a publish that no stream takes says so at once (#533,
test_contract_stores.py: test_a_subject_that_no_stream_stores_is_unavailable).
"""

import asyncio
import itertools
import os
import sys
import time
from asyncio.subprocess import PIPE

import pytest
from msgspec import Struct
from msgspec.structs import replace
from nats.errors import SlowConsumerError

from actors.bus import Disconnected, Message, Unavailable, nats_core
from actors.bus.nats_bus import NatsBus, connect
from actors.service import Service
from actors.settings import BusSettings
from schemas.errors import ERROR_CODE_HEADER
from subjects import names
from subjects.streams import agent_consumer
from tests.faults.proxy import proxied
from tests.harness.events import until, until_async
from tests.harness.nats_server import Server


class Ask(Struct):
    """The smallest request there is."""

    word: str = "?"


async def test_n1_a_handler_that_lets_cancellation_out_does_not_end_the_subscription(bus: NatsBus):
    handled: list[bytes] = []

    async def handle(message: Message) -> None:
        handled.append(message.body)
        if message.body == b"1":
            raise asyncio.CancelledError

    await bus.serve("work", handle)
    for body in (b"0", b"1", b"2", b"3", b"4"):
        await bus.publish("work", body)
    await until(lambda: len(handled) == 5)


async def test_n2_a_handler_that_raises_is_counted_and_the_next_is_called(bus: NatsBus):
    handled: list[bytes] = []

    async def handle(message: Message) -> None:
        handled.append(message.body)
        raise ValueError(message.body)

    await bus.serve("work", handle)
    for body in (b"0", b"1"):
        await bus.publish("work", body)
    await until(lambda: bus._tasks.failures == 2)
    assert sorted(handled) == [b"0", b"1"]


async def test_n3_of_a_burst_nothing_is_lost(bus: NatsBus):
    heard: list[bytes] = []
    serving = await bus.listen("news", lambda message: heard.append(message.body))
    sent = [str(number).encode() for number in range(500)]
    for body in sent:
        await bus.publish("news", body)
    await until(lambda: len(heard) == len(sent))
    assert heard == sent
    assert serving._subscription._max_msgs == 0


async def test_n4_handlers_of_one_subscription_run_at_the_same_time(bus: NatsBus):
    together = asyncio.Barrier(5)

    async def handle(_: Message) -> None:
        await together.wait()

    await bus.serve("work", handle)
    for _ in range(4):
        await bus.publish("work", b"")
    await asyncio.wait_for(together.wait(), 5)


async def test_n5_errors_are_only_noted_where_the_connection_is_read(bus: NatsBus):
    error = SlowConsumerError("work", b"", 1, None)
    begun = time.monotonic()
    for _ in range(10_000):
        await bus._on_error(error)
    assert time.monotonic() - begun < 1
    assert bus._last_error is error


async def test_n6_a_burst_fills_no_pending_queue(bus: NatsBus, nats_settings: BusSettings):
    burst = 20_000
    other = await connect(nats_settings, "other")
    hands: list[asyncio.Event] = []
    release = asyncio.Event()

    async def handle(_: Message) -> None:
        hands.append(release)
        await release.wait()

    serving = await bus.serve("work", handle)
    for _ in range(burst):
        await other.publish("work", bytes(100))
    await until(lambda: len(hands) == burst)
    release.set()
    assert serving._subscription._pending_size == 0
    await other.close()


async def test_n7_closing_waits_for_the_work_in_hand(nats_settings: BusSettings):
    bus = await connect(nats_settings, "leaving")
    begun, done = asyncio.Event(), asyncio.Event()

    async def handle(_: Message) -> None:
        begun.set()
        await asyncio.sleep(0.2)
        done.set()

    await bus.serve("work", handle)
    await bus.publish("work", b"")
    await begun.wait()
    await bus.close()
    assert done.is_set()


async def test_n8_who_is_cancelled_while_closing_is_cancelled(own_server: Server, own_bus: NatsBus):
    async def handle(_: Message) -> None:
        await asyncio.sleep(0)

    serving = await own_bus.serve("work", handle)
    own_server.pause()
    closing = asyncio.ensure_future(serving.close())
    await asyncio.sleep(0.1)  # its flush waits for a server that does not answer
    closing.cancel()
    await asyncio.wait((closing,), timeout=5)
    assert closing.cancelled()


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


@pytest.mark.parametrize("subject", ["a\r\nPUB b 1\r\nx", "a b", "a\tb", ""])
async def test_n14_a_subject_cannot_carry_a_second_command(bus: NatsBus, subject: str):
    with pytest.raises(Unavailable):
        await bus.publish(subject, b"x")
    assert await bus.healthy()


async def test_n15_an_exception_inside_is_not_told_to_the_caller(bus: NatsBus):
    async def broken(_: Ask) -> None:
        raise RuntimeError("the password is swordfish")

    service = Service(bus, "conclave-test", "1", "breaks")
    service.endpoint("broken", Ask, broken)
    await service.start()
    reply = await bus.request("broken", b"{}")
    assert reply.headers[ERROR_CODE_HEADER] == "500"
    assert "swordfish" not in f"{reply.headers} {reply.body!r}"


async def test_n16_what_was_received_before_a_stop_is_answered(bus: NatsBus):
    gate = asyncio.Event()
    begun: list[Ask] = []

    async def slow(request: Ask) -> Ask:
        begun.append(request)
        await gate.wait()
        return request

    service = Service(bus, "conclave-test", "1", "is slow")
    service.endpoint("slow", Ask, slow)
    await service.start()
    asking = [asyncio.ensure_future(bus.request("slow", b"{}")) for _ in range(3)]
    await until(lambda: len(begun) == len(asking))
    await service.drain()
    gate.set()
    replies = await asyncio.wait_for(asyncio.gather(*asking), 5)
    assert [reply.body for reply in replies] == [b'{"word":"?"}'] * 3


async def test_n17_a_fetch_that_was_given_up_does_not_stall_the_next(bus: NatsBus):
    puller = await bus.pull(agent_consumer("DEV"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(puller.fetch(8, wait=True), 0.2)
    await bus.store(names.agent_request("DEV"), b"work")
    (delivery,) = await asyncio.wait_for(puller.fetch(1, wait=True), 3)  # less than EXPIRES_S
    assert delivery.record.body == b"work"


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


async def test_n19_who_serves_is_reachable_as_soon_as_it_says_so(
    bus: NatsBus, nats_settings: BusSettings
):
    """A flush of nats-py says PING before it has sent the subscription it shall confirm."""
    other = await connect(nats_settings, "other")

    async def echo(message: Message) -> None:
        await other.publish(message.reply, message.body)

    for number in range(100):
        await other.serve(f"echo.{number}", echo)
        await bus.request(f"echo.{number}", b"x")
    await other.close()


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


def test_every_trap_of_the_table_has_its_test():
    listed = {line.split()[0].lower() for line in __doc__.splitlines() if line[:5] == "    N"}
    tested = {name.split("_")[1] for name in globals() if name.startswith("test_n")}
    assert listed == tested
