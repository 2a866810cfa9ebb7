"""Every protocol a thousand times in a bad world: one end, in time, as the events have it."""

from functools import cache
from typing import get_args

import pytest

from actors import history, outcome
from actors.deliberation import State, advance
from schemas.codec import decode
from schemas.deliberation import FINAL_STATUSES, ProtocolName, RoundOpened
from schemas.result import Deliberation
from tests.protocols.simulator import LATE_MS, LIMIT, World, runs

RUNS = 1_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
every_protocol = pytest.mark.parametrize("protocol", get_args(ProtocolName))


@cache
def worlds(protocol: str) -> tuple[World, ...]:
    return tuple(runs(protocol, RUNS))


def told(world: World) -> Deliberation:
    return decode(Deliberation, world.stored("outcome")[0].body)


def refolded(world: World) -> State:
    return history.refolded(world.log[0], world.log[1:], world.stored("outcome")[0])


@every_protocol
def test_each_ends_exactly_once_and_in_time(protocol):
    for world in worlds(protocol):
        ends = world.stored("outcome")
        assert len(ends) == 1
        assert ends[0].stored_ms <= world.opened.deadline_ms + LATE_MS
        assert told(world).status in FINAL_STATUSES


@every_protocol
def test_the_outcome_follows_from_the_stored_events_byte_for_byte(protocol):
    for world in worlds(protocol):
        state, ended = refolded(world), told(world)
        at_ms = world.opened.opened_at_ms + ended.duration_ms
        again = outcome.result(state, ended.status, at_ms, ended.reason)
        assert outcome.fitted(again, LIMIT) == world.stored("outcome")[0].body


@every_protocol
def test_a_seat_is_heard_once_a_round_at_most(protocol):
    for world in worlds(protocol):
        heard = [(each.seat, each.round) for each in told(world).ledger]
        assert len(set(heard)) == len(heard)
        assert all(stage.answered <= stage.asked for stage in told(world).stages)


@every_protocol
def test_rounds_are_stored_once_each_and_in_turn(protocol):
    for world in worlds(protocol):
        rounds = [decode(RoundOpened, each.body).round for each in world.stored("round")]
        assert rounds == list(range(1, len(rounds) + 1))


@every_protocol
def test_a_collector_opens_no_round_after_the_end(protocol):
    for world in worlds(protocol):
        if len(world.collectors) == 1 and not world.seen["crashes"]:
            end = world.stored("outcome")[0].sequence
            assert all(each.sequence < end for each in world.stored("round"))


@every_protocol
def test_a_round_that_another_collector_opened_after_the_end_counts_for_nothing(protocol):
    for world in worlds(protocol):
        over = refolded(world)
        for record in world.stored("round"):
            assert advance(over, decode(RoundOpened, record.body)).rounds == over.rounds


@every_protocol
def test_who_was_asked_and_is_not_heard_is_named_with_a_reason(protocol):
    for world in worlds(protocol):
        state, ended = refolded(world), told(world)
        asked = {(seat, each.round) for each in state.rounds for seat in each.seats}
        good = {(each.seat, each.round) for each in state.answers if each.failure is None}
        assert {(each.seat, each.round) for each in ended.failures} == asked - good
        assert all(each.code and each.message for each in ended.failures)


@every_protocol
def test_the_simulated_world_was_as_bad_as_it_should_be(protocol):
    for trouble in ("lost", "doubles", "crashes", "conflicts", "failed stores"):
        assert sum(world.seen[trouble] for world in worlds(protocol)) > RUNS / 50
    statuses = {told(world).status for world in worlds(protocol)}
    assert statuses >= {"COMPLETED", "TIMEOUT"}


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_gives_the_same_world(seed):
    assert World("synthesized", seed).run().log == World("synthesized", seed).run().log
