"""The traps of nats-py that were reproduced (N1 to N14), each with the rule that avoids it."""

import asyncio
import time

import pytest
from nats.errors import SlowConsumerError

from actors import nats_core
from actors.bus import Message, Unavailable
from actors.nats_bus import NatsBus, connect
from actors.settings import BusSettings
from tests.harness.events import until
from tests.harness.nats_server import Server


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


async def test_n4_handlers_of_one_subscription_run_at_the_same_time(bus: NatsBus):
    together = asyncio.Barrier(5)

    async def handle(_: Message) -> None:
        await together.wait()

    await bus.serve("work", handle)
    for _ in range(4):
        await bus.publish("work", b"")
    await asyncio.wait_for(together.wait(), 5)


async def test_n5_errors_are_only_noted_where_the_connection_is_read(bus: NatsBus):
    begun = time.monotonic()
    for _ in range(10_000):
        await bus._on_error(SlowConsumerError("work", b"", 1, None))
    assert time.monotonic() - begun < 1
    assert bus.slow_consumers == 10_000


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


async def test_n12_a_link_that_is_half_open_is_given_up_within_seconds(bus: NatsBus):
    pings = bus._nc.options["max_outstanding_pings"] + 1
    assert bus._nc.options["ping_interval"] * pings <= 15
    assert nats_core.PING_INTERVAL_S >= 1


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


@pytest.mark.parametrize("subject", ["a\r\nPUB b 1\r\nx", "a b", "a\tb", ""])
async def test_n14_a_subject_cannot_carry_a_second_command(bus: NatsBus, subject: str):
    with pytest.raises(Unavailable):
        await bus.publish(subject, b"x")
    assert await bus.healthy()


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
