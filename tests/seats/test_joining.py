"""A program takes a seat, is heard, and keeps its seat against others; or it is refused one."""

import asyncio
import json

import pytest

from subjects import names
from subjects.streams import ACK_WAIT_S
from tests.harness.engines import Gated, Talking
from tests.harness.system import System
from tests.seats.conftest import says, seats_of


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
        assert joined["ack_wait_seconds"] == ACK_WAIT_S
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
