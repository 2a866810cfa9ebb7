"""What the bus promises of a stream that is followed, over a real server and the played one."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from actors.bus import Message
from actors.bus.nats_bus import NatsBus
from actors.bus.nats_pull import Requests
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.bus.messages import WORK, bodies, stored_work
from tests.harness.events import until_async


class TestFollow:
    async def test_what_is_stored_comes_in_order_then_a_mark_then_what_follows(self, bus: NatsBus):
        await stored_work(bus, b"1", b"2", b"3")
        async with aclosing(bus.follow(DELIBERATIONS, [WORK], since_ms=0)) as records:
            past = [await anext(records) for _ in range(4)]
            await stored_work(bus, b"4")
            new = await asyncio.wait_for(anext(records), 5)
        assert bodies(past[:3]) == [b"1", b"2", b"3"]
        assert past[3] is None
        assert (new.body, new.sequence) == (b"4", 4)

    async def test_the_mark_comes_at_once_where_nothing_is_stored(self, bus: NatsBus):
        async with aclosing(bus.follow(DELIBERATIONS, [WORK], since_ms=0)) as records:
            assert await asyncio.wait_for(anext(records), 5) is None

    async def test_only_what_is_filtered_comes(self, bus: NatsBus):
        await bus.store(names.opened("t-1"), b"opened")
        await stored_work(bus, b"work")
        await bus.store(names.agent_response("t-1"), b"response")
        filters = [names.ANY_OPENED, names.ANY_AGENT_RESPONSE]
        async with aclosing(bus.follow(DELIBERATIONS, filters, since_ms=0)) as records:
            assert bodies([await anext(records) for _ in range(2)]) == [b"opened", b"response"]

    async def test_only_what_is_young_enough_comes(self, bus: NatsBus, wall_ms: Callable[[], int]):
        await stored_work(bus, b"old")
        await asyncio.sleep(0.05)
        now_ms = wall_ms()
        await asyncio.sleep(0.05)
        await stored_work(bus, b"new")
        async with aclosing(bus.follow(DELIBERATIONS, [WORK], since_ms=now_ms)) as records:
            assert (await anext(records)).body == b"new"

    async def test_only_what_lies_behind_a_sequence_comes(self, bus: NatsBus):
        await stored_work(bus, b"1", b"2", b"3")
        records = bus.follow(DELIBERATIONS, [WORK], since_ms=0, after=1)
        async with aclosing(records):
            past = [await anext(records) for _ in range(3)]
        assert bodies(past[:2]) == [b"2", b"3"]
        assert past[2] is None

    async def test_many_come_without_gap_or_double(self, bus: NatsBus):
        await asyncio.gather(*(stored_work(bus, b"x") for _ in range(1_500)))
        async with aclosing(bus.follow(DELIBERATIONS, [WORK], since_ms=0)) as records:
            found = [await anext(records) for _ in range(1_500)]
        assert [each.sequence for each in found] == list(range(1, 1_501))

    async def test_it_goes_on_where_it_was_when_its_consumer_is_deleted(self, bus: NatsBus):
        await stored_work(bus, b"1", b"2")
        async with aclosing(bus.follow(DELIBERATIONS, [WORK], since_ms=0)) as records:
            for _ in range(3):
                await anext(records)
            waiting = asyncio.ensure_future(anext(records))
            await delete_followers(bus)
            await stored_work(bus, b"3")
            assert (await asyncio.wait_for(waiting, 10)).body == b"3"

    async def test_what_was_lost_last_is_noticed_though_nothing_follows(
        self, bus: NatsBus, monkeypatch: pytest.MonkeyPatch
    ):
        """As when the server had sent it over a link that was cut."""
        lost: list[Message] = []
        receive = Requests._on_message

        def losing(requests: Requests, message: Message) -> None:
            if message.body == b"1" and not lost:
                lost.append(message)
            else:
                receive(requests, message)

        monkeypatch.setattr("actors.bus.nats_pull.EXPIRES_S", 0.5)
        monkeypatch.setattr(Requests, "_on_message", losing)
        async with aclosing(bus.follow(DELIBERATIONS, [WORK], since_ms=0)) as records:
            assert await anext(records) is None
            await stored_work(bus, b"1")
            assert (await asyncio.wait_for(anext(records), 10)).body == b"1"
        assert lost


async def delete_followers(bus: NatsBus) -> None:
    """Delete every ephemeral consumer, as an operator or a restart does."""

    async def deleted() -> bool:
        reply = await bus.request(f"$JS.API.CONSUMER.NAMES.{DELIBERATIONS}", b"")
        found = [name for name in reply.body.decode().split('"') if name.startswith("follow-")]
        for name in found:
            await bus.api(f"CONSUMER.DELETE.{DELIBERATIONS}.{name}", {})
        return bool(found)

    await until_async(deleted)
