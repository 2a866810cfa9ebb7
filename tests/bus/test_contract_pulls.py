"""What the bus promises of what is pulled, over a real server and the played one."""

import asyncio

import pytest

from actors.bus import BusError, Delivery, Puller, Unavailable
from actors.bus.nats_bus import NatsBus
from subjects import names
from subjects.streams import DELIBERATIONS, ConsumerSpec, agent_consumer
from tests.bus.conftest import Join, now_s
from tests.bus.messages import WORK, bodies, stored_work
from tests.harness.events import until, until_async

IMPATIENT = ConsumerSpec(
    stream=DELIBERATIONS, durable="impatient", filters=(WORK,), description="", ack_wait_s=0.4
)


async def fetched(puller: Puller, count: int) -> list[Delivery]:
    """Deliveries, fetched until there are `count`."""
    found: list[Delivery] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await puller.fetch(count - len(found), wait=True)
    return found


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

    async def test_without_waiting_all_that_is_there_comes_at_once(self, bus: NatsBus):
        """Large messages come in pieces: what is not taken with the first, nobody would hold."""
        await asyncio.gather(*(bus.store(WORK, bytes(100_000)) for _ in range(50)))
        puller = await bus.pull(agent_consumer("DEV"))
        assert len(await puller.fetch(40, wait=False)) == 40
        assert len(await puller.fetch(40, wait=False)) == 10

    async def test_what_came_late_is_handed_out_before_more_is_asked_for(self, bus: NatsBus):
        await stored_work(bus, *(b"%d" % number for number in range(9)))
        puller = await bus.pull(agent_consumer("DEV"))
        await puller._requests.ask(3, linger=False)
        await until(lambda: len(puller._requests._arrived) == 3)
        assert len(await puller.fetch(1, wait=True)) == 1
        assert len(await puller.fetch(8, wait=False)) == 2
        assert await bus.delivered(DELIBERATIONS, "agent-DEV") == 3

    async def test_other_queues_are_not_delivered(self, bus: NatsBus):
        await bus.store(names.agent_request("QA"), b"not mine")
        puller = await bus.pull(agent_consumer("DEV"))
        assert await puller.fetch(1, wait=False) == []

    async def test_how_far_a_queue_is_delivered_can_be_asked(self, bus: NatsBus):
        consumer = agent_consumer("DEV")
        assert await bus.delivered(DELIBERATIONS, consumer.durable) == 0
        await stored_work(bus, b"1", b"2")
        await bus.store(names.agent_request("QA"), b"not mine")
        puller = await bus.pull(consumer)
        assert await bus.delivered(DELIBERATIONS, consumer.durable) == 0
        first = (await fetched(puller, 1))[0]
        assert await bus.delivered(DELIBERATIONS, consumer.durable) == 1
        await first.nak()
        await fetched(puller, 2)
        assert await puller.fetch(1, wait=False) == []
        assert await bus.delivered(DELIBERATIONS, consumer.durable) == 2

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


async def is_waiting(bus: NatsBus) -> bool:
    """Whether a pull request has reached the server."""
    info = await bus.request(f"$JS.API.CONSUMER.INFO.{DELIBERATIONS}.agent-DEV", b"")
    return b'"num_waiting":1' in info.body
