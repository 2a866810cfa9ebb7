"""Every protocol over a real server: one request in, one public event out, nobody waited for."""

import asyncio
import time
from typing import get_args

import msgspec
import pytest

from actors.engines.engine import Delta, Generation
from actors.protocols import PROTOCOLS
from schemas.codec import CONTENT_TYPE, MSGPACK, decode, encode
from schemas.deliberation import Accepted, ProtocolName, RoundOpened
from schemas.result import Deliberation
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.harness.builders import answer
from tests.harness.engines import Gated, Talking
from tests.harness.events import until, until_async
from tests.harness.system import System

FAST_S = 0.25
ROUNDS = {"independent": 1, "ranked": 2, "revised": 4, "synthesized": 3}


class Paced(Talking):
    """Takes FAST_S for an answer, one seat twenty times as long; notes when it is given up."""

    def __init__(self, slow: str = "") -> None:
        super().__init__()
        self.slow = slow
        self.given_up: dict[str, float] = {}

    async def speak(self, generation: Generation):
        try:
            await asyncio.sleep(FAST_S * (20 if generation.seat == self.slow else 1))
        except BaseException:
            self.given_up[generation.seat] = time.monotonic()
            raise
        yield Delta(f"by {generation.seat}")


async def rounds_of(system: System, task_id: str) -> list[RoundOpened]:
    records = await system.client.bus.scan(DELIBERATIONS, names.round_opened(task_id))
    return [decode(RoundOpened, each.body) for each in records]


async def paced(system: System, slow: str = "") -> Paced:
    await system.core()
    engine = Paced(slow)
    await system.agent(engine)
    return engine


@pytest.mark.parametrize("protocol", get_args(ProtocolName))
async def test_each_protocol_ends_in_one_public_event(council: System, protocol):
    accepted = await council.client.ask(protocol=protocol)
    result = await council.client.outcome(accepted.task_id)
    assert (result.status, result.protocol) == ("COMPLETED", protocol)
    assert result.winner_id in accepted.seats
    assert result.winner_reason
    assert len(result.stages) >= ROUNDS.get(protocol, 1)
    assert await council.client.get(accepted.task_id) == result


async def test_the_default_protocol_is_ranked_with_ballots_until_it_is_settled(council: System):
    request = {"task_description": "Add retries", "role": "DEV"}
    reply = await council.client.call(names.REQUEST, request)
    result = await council.client.outcome(decode(Accepted, reply.raw).task_id)
    assert (result.protocol, result.counting) == ("ranked", "borda")
    assert {each.abstained for each in result.ballots} <= {"", "silent"}
    assert sum(bool(each.ranking) for each in result.ballots) >= 2


async def test_a_quorum_does_not_wait_for_a_seat_twenty_times_slower(system: System):
    engine = await paced(system, "agent-dev-003")
    begun = time.monotonic()
    accepted = await system.client.ask(protocol="independent", quorum=2)
    assert "agent-dev-003" in accepted.seats
    result = await system.client.outcome(accepted.task_id)
    ended = time.monotonic()
    assert ended - begun <= FAST_S * 1.5
    assert result.degraded
    assert [(each.seat, each.code) for each in result.failures] == [("agent-dev-003", "abstained")]
    await until(lambda: "agent-dev-003" in engine.given_up)
    assert engine.given_up["agent-dev-003"] - ended <= 0.5
    assert engine.aborted() == 1


async def test_a_seat_past_its_round_is_aborted_and_asked_again_in_the_next(system: System):
    engine = await paced(system, "agent-dev-003")
    accepted = await system.client.ask(
        protocol="revised", constraints={"seat_timeout_seconds": FAST_S * 4}
    )
    result = await system.client.outcome(accepted.task_id)
    slow = {each.round for each in result.failures if each.seat == "agent-dev-003"}
    assert slow == {0, 3}  # no author, so no critic either; but a voter
    assert "agent-dev-003" not in {each.seat for each in result.ledger}
    await until(lambda: engine.aborted() >= len(slow))


async def test_a_recount_asks_no_model_and_changes_nothing_stored(council: System):
    engine = Talking()
    accepted = await council.client.ask(protocol="ranked")
    result = await council.client.outcome(accepted.task_id)
    last = await council.client.bus.last_sequence(DELIBERATIONS)
    query = {"task_id": accepted.task_id, "rule": "copeland", "without": [accepted.seats[0]]}
    reply = await council.client.call(names.RECOUNT, query)
    again = decode(Deliberation, reply.raw)
    assert again.counting == "copeland"
    assert accepted.seats[0] not in {each.voter for each in again.ballots}
    assert again.usage == result.usage
    assert await council.client.bus.last_sequence(DELIBERATIONS) == last
    assert engine.begun == []


async def test_a_recount_by_the_same_rule_is_the_outcome(council: System):
    accepted = await council.client.ask(protocol="revised")
    result = await council.client.outcome(accepted.task_id)
    reply = await council.client.call(names.RECOUNT, {"task_id": accepted.task_id})
    assert decode(Deliberation, reply.raw) == result


@pytest.mark.parametrize(
    ("protocol", "query", "code"),
    [
        ("independent", {}, "bad_request"),
        ("vote", {}, "bad_request"),
        ("ranked", {"without": ["stranger"]}, "bad_request"),
        ("ranked", {"rule": "lottery"}, "bad_message"),
    ],
)
async def test_a_recount_that_makes_no_sense_is_refused(council: System, protocol, query, code):
    accepted = await council.client.ask(protocol=protocol)
    await council.client.outcome(accepted.task_id)
    reply = await council.client.call(names.RECOUNT, {"task_id": accepted.task_id, **query})
    assert reply.code == code


async def test_a_recount_of_what_is_not_over_or_unknown_is_refused(system: System):
    await system.core()
    accepted = await system.client.ask()
    reply = await system.client.call(names.RECOUNT, {"task_id": accepted.task_id})
    assert reply.code == "conflict"
    reply = await system.client.call(names.RECOUNT, {"task_id": "nobody-knows"})
    assert reply.code == "unknown_task"


class Ballots(Gated):
    """Proposes at once; every later round waits for `gate`."""

    async def speak(self, generation: Generation):
        if not generation.request_id.partition(".")[2].startswith("0."):
            await self.gate.wait()
        yield Delta(f"by {generation.seat}")

    def said(self, generation: Generation):
        text = f"by {generation.seat}"
        return msgspec.structs.replace(super().said(generation), content=text)


async def test_best_so_far_is_told_between_the_rounds(system: System):
    await system.core()
    engine = Ballots()
    await system.agent(engine)
    accepted = await system.client.ask(protocol="revised")
    await until(lambda: len(engine.begun) == 6)
    result = await system.client.get(accepted.task_id)
    assert (result.status, len(result.results)) == ("IN_PROGRESS", 3)
    assert result.winner_id is not None
    assert [each.stage for each in result.stages] == ["propose", "critique"]
    engine.gate.set()
    assert (await system.client.outcome(accepted.task_id)).status == "COMPLETED"


@pytest.mark.parametrize("protocol", ["ranked", "revised", "synthesized"])
async def test_a_collector_killed_between_the_rounds_is_followed_by_another(system, protocol):
    kinds = ("registry", "dispatcher", "responder")
    for kind in kinds:
        await system.add(kind)
    collector = await system.add("collector")
    engine = Ballots()
    await system.agent(engine)
    accepted = await system.client.ask(protocol=protocol)
    await until(lambda: len(engine.begun) == 6)
    await system.crash(collector)
    engine.gate.set()
    await system.add("collector", "collector-2")
    result = await system.client.outcome(accepted.task_id)
    assert result.status == "COMPLETED"
    rounds = [each.round for each in await rounds_of(system, accepted.task_id)]
    assert rounds == list(range(1, len(rounds) + 1))


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
async def test_two_collectors_end_it_once(council: System, protocol):
    await council.add("collector", "collector-2")
    tasks = [(await council.client.ask(protocol=protocol)).task_id for _ in range(5)]
    for task_id in tasks:
        await council.client.outcome(task_id)
        rounds = [each.round for each in await rounds_of(council, task_id)]
        assert rounds == list(range(1, len(rounds) + 1))


async def test_a_late_answer_to_a_past_round_counts_for_nothing(system: System):
    await system.core()
    engine = Ballots()
    await system.agent(engine)
    accepted = await system.client.ask(protocol="ranked")
    await until(lambda: len(engine.begun) == 6)
    late = answer(accepted.seats[0], "LATE", task_id=accepted.task_id)
    await system.client.bus.store(names.agent_response(accepted.task_id), encode(late))
    engine.gate.set()
    result = await system.client.outcome(accepted.task_id)
    assert "LATE" not in {each.proposal.content for each in result.results}
    assert await system.client.get(accepted.task_id) == result


@pytest.mark.parametrize(("quorum", "num_agents"), [(4, None), (2, 1), (64, 3)])
async def test_a_quorum_of_more_seats_than_there_are_is_refused(council, quorum, num_agents):
    request = {"task_description": "x", "role": "DEV", "quorum": quorum, "num_agents": num_agents}
    reply = await council.client.call(names.REQUEST, request)
    assert reply.code == "bad_request"
    assert reply.error["path"] == "$.quorum"


async def test_a_messagepack_request_may_have_every_field(council: System):
    body = {
        "task_description": "Add retries",
        "role": "DEV",
        "protocol": "revised",
        "rounds": 1,
        "counting": "copeland",
        "quorum": 3,
        "grace_ms": 100,
        "samples": 8,
        "reference_answer": "42",
        "constraints": {"seat_timeout_seconds": 30.0},
    }
    reply = await council.client.bus.request(
        names.REQUEST, msgspec.msgpack.encode(body), {CONTENT_TYPE: MSGPACK}
    )
    accepted = decode(Accepted, reply.body, MSGPACK)
    result = await council.client.outcome(accepted.task_id)
    assert (result.status, result.counting) == ("COMPLETED", "copeland")
    assert result.reference is not None


async def test_a_cancel_between_the_rounds_ends_every_seat(system: System):
    await system.core()
    engine = Ballots()
    await system.agent(engine)
    accepted = await system.client.ask(protocol="ranked")
    await until(lambda: len(engine.begun) == 6)
    await system.client.call(names.CANCEL, {"task_id": accepted.task_id})
    result = await system.client.outcome(accepted.task_id)
    assert (result.status, len(result.results)) == ("CANCELLED", 3)
    assert {(each.round, each.code) for each in result.failures} == {(1, "cancelled")}
    await until(lambda: engine.aborted() == 3)


async def test_a_broken_councils_ballots_end_it_by_agreement(system: System):
    await system.core()
    await system.agent(Talking())
    accepted = await system.client.ask(protocol="ranked")
    result = await system.client.outcome(accepted.task_id)
    assert {each.abstained for each in result.ballots} == {"not a ballot"}
    assert result.winner_reason.endswith("(no ballots)")


async def test_a_forged_round_or_answer_stops_nothing(council: System):
    accepted = await council.client.ask(protocol="ranked")
    for subject in (names.round_opened, names.agent_response):
        await council.client.bus.store(subject(accepted.task_id), b"{garbage")
    result = await council.client.outcome(accepted.task_id)
    assert result.status == "COMPLETED"
    query = names.GET, {"task_id": accepted.task_id, "author_id": accepted.seats[0]}
    await until_async(lambda: _answers(council, *query))


async def _answers(council: System, subject: str, query: dict[str, str]) -> bool:
    return (await council.client.call(subject, query)).error is None
