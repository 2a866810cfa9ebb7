"""A seat is given up, or lost to silence: who is asked no more, and what becomes of its work."""

import asyncio
import json

from subjects import names
from tests.harness.events import until, until_async
from tests.harness.system import System
from tests.seats.conftest import has_spoken, says, seats_of

FAST = {"heartbeat_seconds": 0.2}


async def failures(system: System, task_id: str) -> dict[str, str]:
    result = await system.client.outcome(task_id)
    return {each.seat: each.code for each in result.failures}


class TestGoing:
    async def test_who_left_is_asked_no_more_and_its_consumer_is_gone(self, council, program):
        guest = await program()
        joined = (await guest.join()).body
        assert (await guest.leave()).body["failed"] == 0
        assert "guest" not in (await council.client.ask()).seats
        assert await guest.bus.acknowledged(joined["stream"], joined["consumer"]) is None
        assert (await guest.leave()).code == "unknown_seat"

    async def test_open_work_of_who_left_counts_as_failed_at_once(self, council, program):
        guest = await program()
        await guest.join()
        task_id = (await council.client.ask()).task_id
        await until_async(lambda: asked(guest))
        assert (await guest.leave()).body["failed"] == 1
        assert await failures(council, task_id) == {"guest": "seat_left"}

    async def test_work_in_its_hands_counts_as_failed_too(self, council, program):
        guest = await program()
        joined = (await guest.join()).body
        task_id = (await council.client.ask()).task_id
        puller = await guest.bus.join(joined["stream"], joined["consumer"])
        assert len(await puller.fetch(1, wait=True)) == 1
        assert (await guest.leave()).body["failed"] == 1
        assert await failures(council, task_id) == {"guest": "seat_left"}

    async def test_a_later_round_does_not_wait_for_who_left(self, system, program):
        guest = await program()
        engine, task_id = await has_spoken(system, guest, "first and last words")
        await guest.leave()
        engine.gate.set()
        result = await system.client.outcome(task_id)
        assert result.status == "COMPLETED"
        assert ("guest", 1, "seat_left") in {(f.seat, f.round, f.code) for f in result.failures}
        assert "first and last words" in {each.proposal.content for each in result.results}

    async def test_who_misses_three_heartbeats_has_lost_its_seat(self, council, program):
        guest = await program()
        await guest.join(**FAST)
        task_id = (await council.client.ask()).task_id
        assert await failures(council, task_id) == {"guest": "seat_lost"}
        assert "guest" not in await seats_of(council)
        assert (await guest.beat()).code == "unknown_seat"

    async def test_who_lets_three_deliberations_wait_in_vain_has_lost_its_seat(
        self, council, program
    ):
        """Its heartbeats go on all the time."""
        guest = await program()
        await guest.join()
        patience = {"timeout_seconds": 0.6}
        for _ in range(3):
            assert "guest" in await seats_of(council)
            task_id = (await council.client.ask(constraints=patience)).task_id
            assert (await failures(council, task_id))["guest"] == "timeout"
        await until_async(lambda: gone(council, "guest"))
        assert (await guest.beat()).code == "unknown_seat"
        accepted = await council.client.ask()
        assert (await council.client.outcome(accepted.task_id)).status == "COMPLETED"

    async def test_an_answer_in_between_makes_good_for_silence(self, council, program):
        guest = await program()
        await guest.join()
        for turn in range(5):
            if turn == 2:
                guest.loop(says("sorry, I was away"))
            patience = {"timeout_seconds": 20 if turn == 2 else 0.6}
            task_id = (await council.client.ask(constraints=patience)).task_id
            result = await council.client.outcome(task_id)
            assert result.status == ("COMPLETED" if turn == 2 else "TIMEOUT")
            await guest.pause()
        assert "guest" in await seats_of(council)

    async def test_who_sends_its_heartbeats_keeps_it(self, council, program):
        guest, silent = await program(), await program(seat="silent")
        await guest.join(**FAST)
        await silent.join(**FAST)

        async def lost() -> bool:
            assert (await guest.beat()).error is None
            return "silent" not in await seats_of(council)

        await until_async(lost)
        assert "guest" in await seats_of(council)

    async def test_nobody_loses_a_seat_while_nats_stood_still(self, own_server, program):
        """Nothing could be heard then, and the heartbeats come as soon as it goes on."""
        settings = own_server.account()
        system = await System.connected(settings)
        await system.core()
        guest = await program(settings=settings)
        await guest.join(**FAST)
        own_server.pause()
        await asyncio.sleep(1.5)  # more than twice the patience there is with it
        own_server.resume()
        assert (await guest.beat()).error is None
        assert "guest" in await seats_of(system)
        await system.close()

    async def test_a_heartbeat_needs_no_reply(self, council, program):
        guest = await program()
        joined = (await guest.join(**FAST)).body
        beat = json.dumps({name: joined[name] for name in ("role", "seat", "lease")}).encode()
        silent = await program(seat="silent")
        await silent.join(**FAST)

        async def lost() -> bool:
            await guest.bus.publish(joined["heartbeat_subject"], beat)
            return "silent" not in await seats_of(council)

        await until_async(lost)
        assert "guest" in await seats_of(council)

    async def test_nonsense_for_a_heartbeat_is_answered_and_changes_nothing(self, council, program):
        guest = await program()
        joined = (await guest.join()).body
        reply = await council.client.call(joined["heartbeat_subject"], b"\xff nonsense")
        assert reply.code == "bad_message"
        assert "guest" in await seats_of(council)

    async def test_a_new_registry_knows_the_members_and_watches_over_them(self, council, program):
        guest, silent = await program(), await program(seat="silent")
        await guest.join()
        await silent.join(**FAST)
        registry = next(each for each, _ in council._running if "registry" in each.service.name)
        await council.crash(registry)
        await council.add("registry", "registry-2")
        assert (await guest.beat()).error is None
        guest.loop(says("still here"))
        await until_async(lambda: gone(council, "silent"))
        result = await council.client.outcome((await council.client.ask()).task_id)
        assert "still here" in {each.proposal.content for each in result.results}

    async def test_a_new_registry_answers_for_who_left_before(self, system, program):
        guest = await program()
        engine, task_id = await has_spoken(system, guest, "first and last words")
        await guest.leave()
        registry = next(each for each, _ in system._running if "registry" in each.service.name)
        await system.crash(registry)
        engine.gate.set()
        await until(lambda: len(engine.begun) == 6)
        await system.add("registry", "registry-2")
        assert (await system.client.outcome(task_id)).status == "COMPLETED"

    async def test_who_comes_back_is_asked_what_is_still_open(self, system, program):
        guest = await program()
        engine, task_id = await has_spoken(system, guest, "a")
        await guest.leave()
        back = await program()
        await back.join()
        back.loop(says("b"))
        engine.gate.set()
        result = await system.client.outcome(task_id)
        assert not result.failures or result.failures[0].code == "not_needed"
        assert [each["stage"] for each in back.taken] == ["ballot"]

    async def test_deleting_a_council_lets_its_members_go(self, council, program):
        guest = await program("QA")
        joined = (await guest.join()).body
        task_id = (await council.client.ask("QA")).task_id
        await council.client.call(names.COUNCIL_DELETE, {"role": "QA"})
        assert await failures(council, task_id) == {"guest": "seat_left"}
        assert (await guest.beat()).code == "unknown_seat"
        assert await guest.bus.acknowledged(joined["stream"], joined["consumer"]) is None


async def asked(guest) -> bool:
    """Whether something waits in the program's queue."""
    info = f"$JS.API.CONSUMER.INFO.DELIBERATIONS.{guest.joined['consumer']}"
    return json.loads((await guest.bus.request(info, b"")).body)["num_pending"] > 0


async def gone(system: System, seat: str) -> bool:
    return seat not in await seats_of(system)
