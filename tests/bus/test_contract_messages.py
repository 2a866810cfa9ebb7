"""What the bus promises of messages and replies, over a real server and the played one."""

import asyncio

import pytest

from actors.bus import Message, TooLarge, Unavailable
from actors.bus.nats_bus import NatsBus
from tests.bus.conftest import now_s
from tests.bus.messages import WORK, appending, bodies
from tests.harness.events import until


class TestPublish:
    async def test_every_subscriber_hears_it(self, bus: NatsBus, other: NatsBus):
        heard: list[tuple[str, bytes]] = []
        for listener in (bus, other):
            await listener.serve("news.*", appending(heard))
        await bus.publish("news.today", b"hello")
        await until(lambda: len(heard) == 2)
        assert heard == [("news.today", b"hello")] * 2

    async def test_headers_travel(self, bus: NatsBus):
        heard: list[Message] = []

        async def hear(message: Message) -> None:
            heard.append(message)

        await bus.serve("news", hear)
        await bus.publish("news", b"", {"Colour": "red"})
        await until(lambda: heard)
        assert heard[0].headers["Colour"] == "red"
        assert heard[0].reply == ""

    async def test_what_is_too_large_is_refused_with_its_size(self, bus: NatsBus):
        with pytest.raises(TooLarge) as caught:
            await bus.publish("news", b"x" * (bus.max_payload + 1))
        assert (caught.value.size, caught.value.limit) == (bus.max_payload + 1, bus.max_payload)
        assert await bus.healthy()

    async def test_the_largest_body_leaves_room_for_headers(self, bus: NatsBus):
        """The server counts them, and cuts the connection of who passes its limit."""
        body = b"x" * bus.max_payload
        await bus.store(WORK, body, message_id="m-1", once=WORK, headers={"Reason": "y" * 200})
        assert await bus.healthy()
        assert not bus.closed.is_set()

    async def test_after_closing_a_subscription_nothing_is_heard(self, bus: NatsBus):
        heard: list[tuple[str, bytes]] = []
        subscription = await bus.serve("news", appending(heard))
        await subscription.close()
        await bus.publish("news", b"late")
        assert await bus.healthy()
        assert heard == []


class TestQueueGroups:
    async def test_one_member_of_a_group_gets_each_message(self, bus: NatsBus, other: NatsBus):
        mine: list[tuple[str, bytes]] = []
        theirs: list[tuple[str, bytes]] = []
        await bus.serve("job", appending(mine), queue="workers")
        await other.serve("job", appending(theirs), queue="workers")
        for number in range(100):
            await bus.publish("job", str(number).encode())
        await until(lambda: len(mine) + len(theirs) >= 100)
        assert {body for _, body in mine + theirs} == {str(n).encode() for n in range(100)}
        assert mine
        assert theirs


class TestRequest:
    async def test_one_reply_comes_back(self, bus: NatsBus, other: NatsBus):
        async def echo(message: Message) -> None:
            await other.publish(message.reply, message.body.upper())

        await other.serve("echo", echo)
        assert (await bus.request("echo", b"abc")).body == b"ABC"

    async def test_nobody_there_is_known_at_once(self, bus: NatsBus):
        begun = now_s()
        with pytest.raises(Unavailable, match="nobody answers on nowhere"):
            await bus.request("nowhere", b"", timeout_s=30)
        assert now_s() - begun < 2

    async def test_silence_ends_at_the_time_out(self, bus: NatsBus):
        heard: list[tuple[str, bytes]] = []
        await bus.serve("silent", appending(heard))
        with pytest.raises(Unavailable, match=r"no answer on silent within 0\.1 s"):
            await bus.request("silent", b"", timeout_s=0.1)
        assert heard

    async def test_many_requests_get_their_own_replies(self, bus: NatsBus, other: NatsBus):
        async def echo(message: Message) -> None:
            await other.publish(message.reply, message.body)

        await other.serve("echo", echo)
        sent = [str(number).encode() for number in range(200)]
        replies = await asyncio.gather(*(bus.request("echo", body) for body in sent))
        assert bodies(replies) == sent


class TestConverse:
    async def test_replies_are_had_one_by_one_and_in_order(self, bus: NatsBus, other: NatsBus):
        async def stream(message: Message) -> None:
            for number in range(100):
                await other.publish(message.reply, b"%d" % number)

        await other.serve("stream", stream)
        async with bus.converse("stream", b"") as replies:
            assert [int((await replies.get()).body) for _ in range(100)] == [*range(100)]

    async def test_that_nobody_listens_is_a_reply(self, bus: NatsBus):
        async with bus.converse("nowhere", b"") as replies:
            assert (await replies.get()).headers["Status"] == "503"

    async def test_what_comes_after_it_is_left_is_dropped(self, bus: NatsBus, other: NatsBus):
        asked: list[Message] = []
        await other.listen("later", asked.append)
        async with bus.converse("later", b"") as replies:
            await until(lambda: asked)
        await other.publish(asked[0].reply, b"too late")
        assert await bus.healthy()
        assert replies.empty()


class TestGather:
    async def test_replies_are_gathered_until_no_more_come(self, bus: NatsBus, other: NatsBus):
        for word in (b"a", b"b", b"c"):
            await other.serve("who", replying(other, word))
        begun = now_s()
        replies = await bus.gather("who", b"", stall_s=0.2, total_s=30)
        assert sorted(bodies(replies)) == [b"a", b"b", b"c"]
        assert 0.19 <= now_s() - begun < 5

    async def test_nobody_there_is_known_at_once(self, bus: NatsBus):
        begun = now_s()
        assert await bus.gather("nowhere", b"", stall_s=5, total_s=30) == []
        assert now_s() - begun < 2

    async def test_endless_replies_end_with_the_total_time(self, bus: NatsBus, other: NatsBus):
        async def chatter(message: Message) -> None:
            for _ in range(200):
                await other.publish(message.reply, b"more")
                await asyncio.sleep(0.02)

        await other.serve("who", chatter)
        replies = await bus.gather("who", b"", stall_s=5, total_s=0.2)
        assert 1 <= len(replies) < 100
        next(iter(other._tasks._tasks)).cancel()


def replying(bus: NatsBus, body: bytes):
    async def reply(message: Message) -> None:
        await bus.publish(message.reply, body)

    return reply
