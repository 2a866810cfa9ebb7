"""Hypothesis decides what happens next: it drives the same loop, and shrinks what breaks it."""

import asyncio
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.simulation.clients import Caller
from tests.simulation.leftovers import look_for_leftovers, sweep, watched
from tests.simulation.patches import simulated
from tests.simulation.plan import drawn_request
from tests.simulation.weather import CALM, Weather
from tests.simulation.world import World

ACTORS = ("registry", "dispatcher", "collector", "responder", "agent")
HEALING_S = 4.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Council(RuleBasedStateMachine):
    """A system to which anything may happen between any two steps."""

    @initialize(seed=st.integers(0, 2**16), standby=st.booleans(), agents=st.integers(1, 2))
    def begin(self, seed: int, standby: bool, agents: int) -> None:
        self.patched = simulated()
        self.patched.__enter__()
        self.world = World(seed)
        self.world.healed_s = float("inf")
        plan = self.world.plan
        plan.weather = self.world.network.weather = CALM
        plan.standby, plan.agents, plan.intruder = standby, agents, False
        self.watching = watched(self.world)
        self.watching.__enter__()
        self.callers = []
        self.world.loop.run_until_complete(self.world.begin())

    @rule(seed=st.integers(0, 2**16))
    def publish(self, seed: int) -> None:
        request = drawn_request(random.Random(seed), len(self.callers))
        self.callers.append(self.world.loop.create_task(Caller(self.world, request).live()))

    @rule(seconds=st.floats(0.01, 8.0))
    def advance_time(self, seconds: float) -> None:
        self.world.loop.run_until_complete(asleep(seconds))

    @rule(whom=st.sampled_from(ACTORS))
    def kill(self, whom: str) -> None:
        self.world.strike("kill", whom, 0.0)

    @rule(whom=st.sampled_from(ACTORS), seconds=st.floats(0.1, 15.0))
    def freeze(self, whom: str, seconds: float) -> None:
        self.world.strike("freeze", whom, seconds)

    @rule(kind=st.sampled_from(["cut", "hole"]), whom=st.sampled_from([*ACTORS, "client"]))
    def lose_a_link(self, kind: str, whom: str) -> None:
        self.world.strike(kind, whom, 1.0)

    @rule(seconds=st.floats(0.05, 3.0))
    def kill_the_server(self, seconds: float) -> None:
        if self.world.network.is_up:
            self.world.strike("server", "", seconds)

    @rule(doubles=st.sampled_from([0.0, 0.2]), overtaking=st.sampled_from([0.0, 0.5]))
    def duplicate(self, doubles: float, overtaking: float) -> None:
        self.world.network.weather = Weather(doubles=doubles, overtaking=overtaking)

    @rule()
    def heal(self) -> None:
        self.world.heal()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        try:
            world.heal()
            world.was_struck = True
            world.healed_s = world.loop.time() + HEALING_S
            world.loop.run_until_complete(ended(self))
            look_for_leftovers(world)
        finally:
            self.watching.__exit__(None, None, None)
            sweep(world.loop)
            self.patched.__exit__(None, None, None)
        assert not world.violations, "\n".join(world.violations)


async def asleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def ended(council: Council) -> None:
    await asleep(HEALING_S)
    council.world.heal()
    for caller in council.callers:
        await caller
    await council.world.end()


def test_whatever_is_done_to_it_the_system_keeps_its_promises():
    run_state_machine_as_test(
        Council, settings=settings(max_examples=25, stateful_step_count=15, deadline=None)
    )
