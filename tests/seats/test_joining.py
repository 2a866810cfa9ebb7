"""A program takes a seat, is heard, and is gone when it says so or falls silent."""

import asyncio
import json

import pytest

from subjects import names
from tests.harness.engines import Gated, Talking
from tests.harness.events import until, until_async
from tests.harness.system import System
from tests.seats.conftest import says

FAST = {"heartbeat_seconds": 0.2}


async def seats_of(system: System, role: str = "DEV") -> list[str]:
    reply = await system.client.call(names.COUNCIL_GET, {"role": role})
    return [each["id"] for each in reply.body["seats"]]


async def failures(system: System, task_id: str) -> dict[str, str]:
    result = await system.client.outcome(task_id)
    return {each.seat: each.code for each in result.failures}


class TestJoining:
    @pytest.mark.usefixtures("council")
    async def test_a_program_is_told_all_that_it_needs(self, program):
        guest = await program()
        joined = (await guest.join(max_concurrency=3)).body
        queue = "seat-3-DEV-guest"
        assert joined["queue"] == queue
        assert joined["request_subject"] == f"agent.request.{queue}"
        assert joined["pull_subject"] == f"$JS.API.CONSUMER.MSG.NEXT.DELIBERATIONS.agent-{queue}"
        assert joined["response_subject"] == "agent.response.{task_id}"
        assert joined["heartbeat_subject"] == f"agent.heartbeat.{queue}"
        assert joined["max_concurrency"] == 3
        assert joined["ack_wait_seconds"] == 10
        assert len(joined["lease"]) >= 16
        assert joined["schema_version"]

    @pytest.mark.usefixtures("council")
    async def test_its_consumer_is_there_before_it_is_asked(self, program):
        guest = await program()
        joined = (await guest.join(max_concurrency=3)).body
        found = await guest.bus.request(
            f"$JS.API.CONSUMER.INFO.DELIBERATIONS.{joined['consumer']}", b""
        )
        config = json.loads(found.body)["config"]
        assert config["filter_subjects"] == [joined["request_subject"]]
        assert config["max_ack_pending"] == 3

    async def test_it_sits_behind_the_seats_that_were_there(self, council, program):
        before = await seats_of(council)
        await (await program()).join()
        assert await seats_of(council) == [*before, "guest"]

    async def test_what_it_says_of_itself_is_shown_and_its_secret_is_not(self, council, program):
        said = {"capabilities": ["sql"], "languages": ["de", "en"], "persona": "a database"}
        await (await program()).join(**said)
        shown = (await council.client.call(names.COUNCIL_GET, {"role": "DEV"})).body
        (member,) = shown["members"]
        assert (member["capabilities"], member["languages"]) == (["sql"], ["de", "en"])
        assert shown["seats"][-1]["persona"] == "a database"
        assert "lease" not in json.dumps(shown)

    async def test_its_answer_and_its_ballot_count_beside_the_others(self, council, program):
        guest = await program()
        await guest.join()
        guest.loop(says("ask the database first"))
        task_id = (await council.client.ask(protocol="ranked")).task_id
        result = await council.client.outcome(task_id)
        assert result.status == "COMPLETED"
        contents = {each.proposal.author_id: each.proposal.content for each in result.results}
        assert contents["guest"] == "ask the database first"
        assert len(contents) == 4
        assert {"propose", "ballot"} >= {each["stage"] for each in guest.taken}

    async def test_whoever_asks_for_a_number_of_seats_is_not_given_guests(self, council, program):
        await (await program()).join()
        accepted = await council.client.ask(num_agents=3)
        assert "guest" not in accepted.seats
        assert (await council.client.ask()).seats[-1] == "guest"
        assert (await council.client.ask(num_agents=4)).seats[-1] == "guest"

    async def test_what_runs_already_does_not_wait_for_it(self, system, program):
        engine = Gated()
        await system.core()
        await system.agent(engine)
        accepted = await system.client.ask()
        await (await program()).join()
        engine.gate.set()
        result = await system.client.outcome(accepted.task_id)
        assert len(result.seats) == 3
        assert not result.failures

    async def test_no_agent_of_ours_takes_what_it_is_asked(self, system, program):
        engine = Talking()
        await system.core()
        await system.agent(engine)
        guest = await program()
        await guest.join()
        guest.loop(says("mine"))
        await system.client.outcome((await system.client.ask()).task_id)
        assert "guest" not in {each.seat for each in engine.begun}

    async def test_a_council_of_guests_alone_is_made_on_wish(self, system, program):
        await system.core()
        guests = [await program("CRITICS", f"critic-{number}") for number in (1, 2)]
        assert (await guests[0].join()).code == "unknown_role"
        for guest in guests:
            assert (await guest.join(create=True)).error is None
            guest.loop(says(f"by {guest.seat}"))
        result = await system.client.outcome((await system.client.ask("CRITICS")).task_id)
        assert result.status == "COMPLETED"
        assert set(result.seats) == {"critic-1", "critic-2"}

    async def test_a_council_that_everybody_left_refuses_until_somebody_joins(
        self, system: System, program
    ):
        await system.core()
        critic = await program("CRITICS", "critic")
        await critic.join(create=True)
        await critic.leave()
        request = {"task_description": "x y", "role": "CRITICS"}
        assert (await system.client.call(names.REQUEST, request)).code == "unavailable"
        await critic.join()
        assert (await system.client.call(names.REQUEST, request)).error is None

    async def test_one_program_may_sit_in_two_councils(self, council, program):
        both = [await program(role) for role in ("DEV", "QA")]
        for each in both:
            await each.join()
            each.loop(says(f"for {each.role}"))
        for role in ("DEV", "QA"):
            result = await council.client.outcome((await council.client.ask(role)).task_id)
            contents = {each.proposal.author_id: each.proposal.content for each in result.results}
            assert contents["guest"] == f"for {role}"

    async def test_fifty_who_join_at_once_all_have_a_seat(self, council, program):
        await council.add("registry", "registry-2")
        guests = [await program(seat=f"guest-{number}") for number in range(50)]
        replies = await asyncio.gather(*(guest.join() for guest in guests))
        assert [each.error for each in replies if each.error is not None] == []
        assert len(await seats_of(council)) == 53


class TestKeepingASeat:
    @pytest.mark.usefixtures("council")
    async def test_a_taken_seat_is_refused(self, program):
        await (await program()).join()
        reply = await (await program()).join()
        assert (reply.code, reply.error["path"]) == ("conflict", "$.seat")
        named = await program(seat="agent-dev-001")
        assert (await named.join()).code == "conflict"

    async def test_its_own_lease_gives_it_back_after_a_restart(self, council, program):
        lease = "a secret of the program"
        first = (await (await program()).join(lease=lease)).body
        again = (await (await program()).join(lease=lease)).body
        assert again == first
        assert (await seats_of(council)).count("guest") == 1

    async def test_a_lost_consumer_is_made_again_when_it_joins_again(self, council, program):
        guest = await program()
        joined = (await guest.join()).body
        await guest.bus.remove_consumer(joined["stream"], joined["consumer"])
        await guest.join(lease=joined["lease"])
        guest.loop(says("back"))
        result = await council.client.outcome((await council.client.ask()).task_id)
        assert "guest" in {each.proposal.author_id for each in result.results}

    async def test_nobody_else_can_beat_for_it_or_make_it_leave(self, council, program):
        guest = await program()
        await guest.join()
        wrong = {"lease": "not the lease it has"}
        assert (await guest.beat(**wrong)).code == "unknown_seat"
        assert (await guest.leave(**wrong)).code == "unknown_seat"
        assert "guest" in await seats_of(council)
        assert (await guest.beat()).body["within_seconds"] == 30

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"role": "a.b"}, "$.role"),
            ({"seat": "*"}, "$.seat"),
            ({"seat": "s" * 48}, "$.seat"),
            ({"lease": "short"}, "$.lease"),
            ({"max_concurrency": 0}, "$.max_concurrency"),
            ({"heartbeat_seconds": 0.01}, "$.heartbeat_seconds"),
            ({"persona": ""}, "$.persona"),
            ({"capabilities": ["x" * 65]}, "$.capabilities[0]"),
            ({"colour": "red"}, "$.colour"),
        ],
        ids=str,
    )
    async def test_it_is_refused_for(self, council, program, change, path):
        reply = await (await program()).join(**change)
        assert reply.error["path"] == path
        assert reply.code in ("bad_message", "bad_request")
        assert len(await seats_of(council)) == 3

    async def test_a_full_council_takes_nobody(self, council, program):
        seats = [{"id": f"s{n}", "persona": "p"} for n in range(64)]
        await council.client.call(names.COUNCIL_CREATE, {"role": "FULL", "seats": seats})
        assert (await (await program("FULL")).join()).code == "too_many_agents"

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"role": "seat-3-DEV-guest"}, "$.role"),
            ({"seats": [{"id": "a", "persona": "p", "queue": "seat-3-DEV-g"}]}, "$.seats[0].queue"),
        ],
        ids=str,
    )
    async def test_no_council_may_be_made_around_its_queue(self, council, change, path):
        made = {"role": "TRAP", "seats": [{"id": "a", "persona": "p"}]} | change
        reply = await council.client.call(names.COUNCIL_CREATE, made)
        assert (reply.code, reply.error["path"]) == ("bad_request", path)

    async def test_none_may_be_made_by_joining_under_the_name_of_one(self, council, program):
        guest = await program("seat-1-A-b", "c")
        reply = await guest.join(create=True)
        assert (reply.code, reply.error["path"]) == ("bad_request", "$.role")
        assert len((await council.client.call(names.COUNCIL_LIST)).body["councils"]) == 5


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
        engine = Gated()
        await system.core()
        await system.agent(engine)
        guest = await program()
        await guest.join()
        guest.loop(says("first and last words"))
        task_id = (await system.client.ask(protocol="ranked")).task_id
        await until(lambda: guest.taken)
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
        engine = Gated()
        await system.core()
        await system.agent(engine)
        guest = await program()
        await guest.join()
        guest.loop(says("first and last words"))
        task_id = (await system.client.ask(protocol="ranked")).task_id
        await until(lambda: guest.taken)
        await guest.leave()
        registry = next(each for each, _ in system._running if "registry" in each.service.name)
        await system.crash(registry)
        engine.gate.set()
        await until(lambda: len(engine.begun) == 6)
        await system.add("registry", "registry-2")
        assert (await system.client.outcome(task_id)).status == "COMPLETED"

    async def test_who_comes_back_is_asked_what_is_still_open(self, system, program):
        engine = Gated()
        await system.core()
        await system.agent(engine)
        guest = await program()
        await guest.join()
        guest.loop(says("a"))
        task_id = (await system.client.ask(protocol="ranked")).task_id
        await until(lambda: guest.taken)
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
