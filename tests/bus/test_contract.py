"""What `actors.bus.Bus` promises, kept over a real server and over the played one alike."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import pytest

from actors.bus import (
    BusError,
    Conflict,
    Delivery,
    Message,
    NoResponders,
    Puller,
    Record,
    TooLarge,
    Unavailable,
)
from actors.bus.nats_bus import NatsBus
from actors.bus.nats_pull import Requests
from subjects import names
from subjects.streams import DELIBERATIONS, ConsumerSpec, agent_consumer
from tests.harness.events import until, until_async

WORK = names.agent_request("DEV")
IMPATIENT = ConsumerSpec(
    stream=DELIBERATIONS, durable="impatient", filters=(WORK,), description="", ack_wait_s=0.4
)


Join = Callable[[str], Awaitable[NatsBus]]


def now_s() -> float:
    """The clock that the loop goes by."""
    return asyncio.get_running_loop().time()


async def stored_work(bus: NatsBus, *bodies: bytes) -> None:
    for body in bodies:
        await bus.store(WORK, body)


async def fetched(puller: Puller, count: int) -> list[Delivery]:
    """Deliveries, fetched until there are `count`."""
    found: list[Delivery] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await puller.fetch(count - len(found), wait=True)
    return found


def bodies(items: Sequence[Delivery | Record | Message]) -> list[bytes]:
    return [each.record.body if hasattr(each, "record") else each.body for each in items]


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


class TestStore:
    async def test_the_receipt_is_the_place_in_the_stream(self, bus: NatsBus):
        receipts = [await bus.store(WORK, b"x") for _ in range(3)]
        assert [each.sequence for each in receipts] == [1, 2, 3]
        assert not any(each.duplicate for each in receipts)

    async def test_the_same_message_id_is_stored_once(self, bus: NatsBus):
        first = await bus.store(WORK, b"x", message_id="m-1")
        again = await bus.store(WORK, b"x", message_id="m-1")
        assert (again.sequence, again.duplicate) == (first.sequence, True)
        assert len(await bus.scan(DELIBERATIONS, WORK)) == 1

    async def test_only_one_of_many_writers_is_first(self, bus: NatsBus, other: NatsBus):
        subject = names.opened("t-1")
        writers = (
            each.store(subject, b"x", once=subject) for _ in range(20) for each in (bus, other)
        )
        results = await asyncio.gather(*writers, return_exceptions=True)
        assert sum(isinstance(each, Conflict) for each in results) == 39

    async def test_a_second_outcome_conflicts_whatever_its_status(self, bus: NatsBus):
        once = names.any_outcome_of("t-1")
        await bus.store(names.outcome("completed", "t-1"), b"x", once=once)
        for status in ("completed", "timeout", "cancelled"):
            with pytest.raises(Conflict):
                await bus.store(names.outcome(status, "t-1"), b"x", once=once)
        await bus.store(names.outcome("timeout", "t-2"), b"x", once=names.any_outcome_of("t-2"))

    async def test_a_refused_outcome_is_not_published(self, bus: NatsBus):
        heard: list[tuple[str, bytes]] = []
        await bus.serve("deliberation.*", appending(heard))
        once = names.any_outcome_of("t-1")
        await bus.store(names.outcome("completed", "t-1"), b"first", once=once)
        with pytest.raises(Conflict):
            await bus.store(names.outcome("timeout", "t-1"), b"second", once=once)
        await until(lambda: heard)
        assert await bus.healthy()
        assert heard == [("deliberation.completed", b"first")]

    async def test_a_change_is_stored_only_upon_what_was_read(self, bus: NatsBus):
        subject = names.council_stored("DEV")
        first = await bus.store(subject, b"1", once=subject)
        second = await bus.store(subject, b"2", once=subject, after=first.sequence)
        with pytest.raises(Conflict):
            await bus.store(subject, b"3", once=subject, after=first.sequence)
        await bus.store(subject, b"3", once=subject, after=second.sequence)

    async def test_what_is_too_large_is_refused_before_it_is_sent(self, bus: NatsBus):
        with pytest.raises(TooLarge):
            await bus.store(WORK, b"x" * (bus.max_payload + 1))
        assert await bus.last_sequence(DELIBERATIONS) == 0

    async def test_a_subject_that_no_stream_stores_is_unavailable(
        self, bus: NatsBus, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("actors.bus.nats_bus.STORE_DEADLINE_S", 0.3)
        with pytest.raises(Unavailable):
            await bus.store("stored.nowhere", b"x")


class TestPull:
    async def test_what_was_stored_before_is_delivered(self, bus: NatsBus):
        await stored_work(bus, b"1", b"2")
        puller = await bus.pull(agent_consumer("DEV"))
        deliveries = await fetched(puller, 2)
        assert bodies(deliveries) == [b"1", b"2"]
        assert [each.attempt for each in deliveries] == [1, 1]
        assert [each.record.sequence for each in deliveries] == [1, 2]

    async def test_waiting_ends_with_the_first_message(self, bus: NatsBus):
        puller = await bus.pull(agent_consumer("DEV"))
        waiting = asyncio.ensure_future(puller.fetch(10, wait=True))
        await stored_work(bus, b"1")
        assert bodies(await asyncio.wait_for(waiting, 3)) == [b"1"]

    async def test_without_waiting_nothing_is_known_at_once(self, bus: NatsBus):
        puller = await bus.pull(agent_consumer("DEV"))
        begun = now_s()
        assert await puller.fetch(10, wait=False) == []
        assert now_s() - begun < 1

    async def test_other_queues_are_not_delivered(self, bus: NatsBus):
        await bus.store(names.agent_request("QA"), b"not mine")
        puller = await bus.pull(agent_consumer("DEV"))
        assert await puller.fetch(1, wait=False) == []

    async def test_what_is_acknowledged_is_done(self, bus: NatsBus):
        await stored_work(bus, b"1")
        puller = await bus.pull(IMPATIENT)
        await (await fetched(puller, 1))[0].ack()
        await asyncio.sleep(2 * IMPATIENT.ack_wait_s)
        assert await puller.fetch(1, wait=False) == []

    async def test_what_is_not_acknowledged_comes_again(self, bus: NatsBus):
        await stored_work(bus, b"1")
        puller = await bus.pull(IMPATIENT)
        await fetched(puller, 1)
        (again,) = await fetched(puller, 1)
        assert (again.record.body, again.attempt) == (b"1", 2)

    async def test_what_is_given_back_comes_again_at_once(self, bus: NatsBus):
        await stored_work(bus, b"1")
        puller = await bus.pull(agent_consumer("DEV"))
        await (await fetched(puller, 1))[0].nak()
        assert (await fetched(puller, 1))[0].attempt == 2

    async def test_what_is_given_back_may_be_delayed(self, bus: NatsBus):
        await stored_work(bus, b"1")
        puller = await bus.pull(agent_consumer("DEV"))
        await (await fetched(puller, 1))[0].nak(0.3)
        assert await puller.fetch(1, wait=False) == []
        assert (await fetched(puller, 1))[0].attempt == 2

    async def test_what_is_ended_never_comes_again(self, bus: NatsBus):
        await stored_work(bus, b"1", b"2")
        puller = await bus.pull(IMPATIENT)
        first, second = await fetched(puller, 2)
        await first.term()
        await second.nak()
        assert bodies(await fetched(puller, 1)) == [b"2"]
        assert await puller.fetch(1, wait=False) == []

    async def test_work_in_progress_is_not_given_to_another(self, bus: NatsBus):
        await stored_work(bus, b"1")
        puller = await bus.pull(IMPATIENT)
        (delivery,) = await fetched(puller, 1)
        for _ in range(10):
            await asyncio.sleep(IMPATIENT.ack_wait_s / 4)
            await delivery.in_progress()
            assert await puller.fetch(1, wait=False) == []

    async def test_two_pullers_share_the_work(self, bus: NatsBus, other: NatsBus):
        await stored_work(bus, *(str(number).encode() for number in range(20)))
        pullers = [await each.pull(agent_consumer("DEV")) for each in (bus, other)]
        halves = [await fetched(each, 10) for each in pullers]
        assert sorted(map(int, bodies(halves[0] + halves[1]))) == list(range(20))

    async def test_closing_gives_back_what_was_not_fetched(self, bus: NatsBus, other: NatsBus):
        puller = await bus.pull(agent_consumer("DEV"))
        await puller._requests.ask(5, linger=True)
        await stored_work(bus, b"1", b"2")
        await until(lambda: len(puller._requests._arrived) == 2)
        await puller.close()
        deliveries = await fetched(await other.pull(agent_consumer("DEV")), 2)
        assert [each.attempt for each in deliveries] == [2, 2]

    async def test_a_consumer_that_is_gone_is_unavailable(self, bus: NatsBus):
        puller = await bus.pull(agent_consumer("DEV"))
        waiting = asyncio.ensure_future(puller.fetch(1, wait=True))
        await until_async(lambda: is_waiting(bus))
        await bus.api(f"CONSUMER.DELETE.{DELIBERATIONS}.agent-DEV", {})
        with pytest.raises(Unavailable, match="the consumer is gone"):
            await asyncio.wait_for(waiting, 10)

    async def test_joining_twice_is_joining_once(self, bus: NatsBus):
        for _ in range(2):
            await bus.pull(agent_consumer("DEV"))
        names_ = await bus.request(f"$JS.API.CONSUMER.NAMES.{DELIBERATIONS}", b"")
        assert names_.body.count(b"agent-DEV") == 1

    async def test_a_consumer_of_no_stream_is_unavailable(self, join: Join):
        bus = await join("early")
        with pytest.raises(BusError, match="stream not found"):
            await bus.pull(agent_consumer("DEV"))
        await bus.close()


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


class TestReads:
    async def test_the_last_message_of_each_subject_is_read(self, bus: NatsBus):
        for body in (b"old", b"new"):
            for role in ("DEV", "QA"):
                await bus.store(names.council_stored(role), body)
        records = await bus.last("COUNCILS", [names.ANY_COUNCIL])
        assert [(each.subject[-2:], each.body) for each in records] == [
            ("EV", b"new"),
            ("QA", b"new"),
        ]

    async def test_several_filters_are_read_in_one_go(self, bus: NatsBus):
        await bus.store(names.opened("t-1"), b"opened")
        await bus.store(names.outcome("failed", "t-1"), b"outcome")
        filters = [names.opened("t-1"), names.any_outcome_of("t-1")]
        assert bodies(await bus.last(DELIBERATIONS, filters)) == [b"opened", b"outcome"]

    async def test_an_answer_too_large_for_one_part_is_read_to_its_end(
        self, bus: NatsBus, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("actors.bus.nats_bus.PART_BYTES", 1_000)
        large, roles = bytes(400), [f"R{number:03d}" for number in range(20)]
        for role in roles:
            await bus.store(names.council_stored(role), large)
        newest = await bus.last("COUNCILS", [names.ANY_COUNCIL])
        onward = await bus.scan("COUNCILS", names.ANY_COUNCIL, 3, 15)
        assert [each.subject.rpartition(".")[2] for each in newest] == roles
        assert [each.subject.rpartition(".")[2] for each in onward] == roles[2:17]

    async def test_reading_from_no_stream_is_told_from_a_server_that_is_away(self, bus: NatsBus):
        with pytest.raises(NoResponders, match="there is no stream NOWHERE"):
            await bus.scan("NOWHERE", ">")

    async def test_nothing_stored_is_nothing_read(self, bus: NatsBus):
        assert await bus.last(DELIBERATIONS, [names.opened("t-1")]) == []
        assert await bus.scan(DELIBERATIONS, names.opened("t-1")) == []
        assert await bus.last_sequence(DELIBERATIONS) == 0

    async def test_a_scan_goes_forward_from_a_place(self, bus: NatsBus):
        await stored_work(bus, *(str(number).encode() for number in range(1, 9)))
        first = await bus.scan(DELIBERATIONS, WORK, 3, 4)
        rest = await bus.scan(DELIBERATIONS, WORK, first[-1].sequence + 1, 4)
        assert bodies(first + rest) == [b"3", b"4", b"5", b"6", b"7", b"8"]

    async def test_a_record_tells_place_time_and_headers(
        self, bus: NatsBus, wall_ms: Callable[[], int]
    ):
        before_ms = wall_ms()
        await bus.store(WORK, b"x", headers={"Colour": "red"})
        (record,) = await bus.scan(DELIBERATIONS, WORK)
        assert (record.subject, record.sequence) == (WORK, 1)
        assert record.headers["Colour"] == "red"
        assert before_ms - 1_000 <= record.stored_ms <= before_ms + 5_000

    async def test_a_stream_that_is_not_there_is_unavailable(self, bus: NatsBus):
        with pytest.raises(Unavailable):
            await bus.last("NOWHERE", ["x"])


async def is_waiting(bus: NatsBus) -> bool:
    """Whether a pull request has reached the server."""
    info = await bus.request(f"$JS.API.CONSUMER.INFO.{DELIBERATIONS}.agent-DEV", b"")
    return b'"num_waiting":1' in info.body


async def delete_followers(bus: NatsBus) -> None:
    """Delete every ephemeral consumer, as an operator or a restart does."""

    async def deleted() -> bool:
        reply = await bus.request(f"$JS.API.CONSUMER.NAMES.{DELIBERATIONS}", b"")
        found = [name for name in reply.body.decode().split('"') if name.startswith("follow-")]
        for name in found:
            await bus.api(f"CONSUMER.DELETE.{DELIBERATIONS}.{name}", {})
        return bool(found)

    await until_async(deleted)


def appending(heard: list[tuple[str, bytes]]):
    async def hear(message: Message) -> None:
        heard.append((message.subject, message.body))

    return hear


def replying(bus: NatsBus, body: bytes):
    async def reply(message: Message) -> None:
        await bus.publish(message.reply, body)

    return reply
