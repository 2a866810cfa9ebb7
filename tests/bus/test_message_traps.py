"""Traps of nats-py on a message's way: handlers, subscriptions, services and fetches."""

import asyncio
import time

import pytest
from msgspec import Struct
from nats.errors import SlowConsumerError

from actors.bus import Message, Unavailable
from actors.bus.nats_bus import NatsBus, connect
from actors.service import Service
from actors.settings import BusSettings
from schemas.errors import ERROR_CODE_HEADER
from subjects import names
from subjects.streams import agent_consumer
from tests.harness.events import until
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
