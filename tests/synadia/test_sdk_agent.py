"""An agent hosted with the SDK `synadia-ai-agent-service` holds a seat in a council."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actors.bus import Unavailable
from actors.bus.nats_bus import connect
from actors.engines.engine import Delta, Generated, Generation
from actors.engines.scripted_engine import ScriptedEngine
from actors.guests.guest import Guest
from actors.settings import PoolSettings
from actors.synadia.engine import NOBODY_ANSWERS, SynadiaEngine, found
from schemas.council import CouncilJoin
from schemas.progress import Progress, SeatAnswered, TextDelta
from subjects import names
from tests.harness.events import until
from tests.harness.system import System
from tests.synadia.programs import Host, hosted

pytestmark = pytest.mark.clients

SEATS = [{"id": "plain", "persona": "plain"}, {"id": "terse", "persona": "terse"}]
TEXT = "Keep a ledger of every attempt."


class Patient(ScriptedEngine):
    """Votes when `gate` is set: until then no result is certain."""

    def __init__(self) -> None:
        super().__init__(PoolSettings(engine="scripted"))
        self.gate = asyncio.Event()

    async def generate(self, generation: Generation) -> AsyncIterator[Delta | Generated]:
        if generation.response_schema is not None:
            await self.gate.wait()
        async for piece in super().generate(generation):
            yield piece


@asynccontextmanager
async def seated(
    system: System, host: Host, others: Patient | None = None
) -> AsyncIterator[SynadiaEngine]:
    """Give the hosted agent the seat `guest` of the council MIXED."""
    await system.core()
    await system.agent(others)
    await system.client.call(names.COUNCIL_CREATE, {"role": "MIXED", "seats": SEATS})
    bus = await connect(system.settings, "seat guest")
    engine = SynadiaEngine(bus, host.subject)
    await engine.check()
    joining = CouncilJoin(role="MIXED", seat="guest", persona="works elsewhere", max_concurrency=4)
    await system._start(Guest(bus, engine, joining, "guest"), bus)
    yield engine


def answered(told: list[Progress]) -> set[tuple[str, int]]:
    """The seats and rounds that have been answered."""
    return {(each.seat, each.round) for each in told if isinstance(each, SeatAnswered)}


async def test_it_proposes_and_votes_in_a_deliberation_that_completes(system: System, sdk: str):
    others = Patient()
    async with hosted(sdk, system.settings, "worker-1") as host, seated(system, host, others):
        accepted = await system.client.ask("MIXED", protocol="ranked")
        told = system.client.progress[accepted.task_id]
        await until(lambda: {("guest", 0), ("guest", 1)} <= answered(told))
        others.gate.set()
        ended = await system.client.outcome(accepted.task_id)
        assert ended.status == "COMPLETED"
        (guest,) = [each.proposal for each in ended.results if each.proposal.author_id == "guest"]
        assert (guest.content, guest.engine) == (TEXT, "synadia")
        assert guest.model == "demo.tests.worker-1"
        (ballot,) = [each for each in ended.ballots if each.voter == "guest"]
        assert len(ballot.ranking) == 2
        assert not ballot.abstained
        prompt = await host.line()
        assert "Add retries to the billing client" in prompt
        assert "works elsewhere" in prompt


async def test_its_chunks_are_told_live(system: System, sdk: str):
    async with hosted(sdk, system.settings, "worker-1") as host, seated(system, host):
        accepted = await system.client.ask("MIXED")
        await system.client.outcome(accepted.task_id)
        deltas = [
            each
            for each in system.client.progress[accepted.task_id]
            if isinstance(each, TextDelta) and each.seat == "guest"
        ]
        assert deltas[0].text == "Keep a ledger ", "the first piece at once"
        assert "".join(each.text for each in deltas) == TEXT


async def test_its_question_is_answered_with_go_on(system: System, sdk: str):
    async with hosted(sdk, system.settings, "worker-1") as host, seated(system, host):
        accepted = await system.client.ask("MIXED", task_description="First ask.")
        ended = await system.client.outcome(accepted.task_id)
        (guest,) = [each.proposal for each in ended.results if each.proposal.author_id == "guest"]
        assert guest.content == f"I was told: {NOBODY_ANSWERS} {TEXT}"


async def test_its_error_is_its_seats_failure_and_the_council_goes_on(system: System, sdk: str):
    async with hosted(sdk, system.settings, "worker-1") as host, seated(system, host):
        accepted = await system.client.ask("MIXED", task_description="Now fail.")
        ended = await system.client.outcome(accepted.task_id)
        assert ended.status == "COMPLETED"
        (failure,) = ended.failures
        assert (failure.seat, failure.code) == ("guest", "agent_error")
        assert failure.message == "500: handler error"


async def test_when_it_is_gone_its_seat_fails_and_when_it_is_back_it_answers(
    system: System, sdk: str
):
    async with hosted(sdk, system.settings, "worker-1") as host, seated(system, host):
        host.kill()
        await host.process.wait()
        accepted = await system.client.ask("MIXED")
        ended = await system.client.outcome(accepted.task_id)
        assert [(each.seat, each.code) for each in ended.failures] == [("guest", "agent_gone")]
        async with hosted(sdk, system.settings, "worker-1"):
            accepted = await system.client.ask("MIXED")
            ended = await system.client.outcome(accepted.task_id)
            assert not ended.failures


async def test_a_seat_that_is_not_needed_any_more_leaves_it_talking_to_nobody(
    system: System, sdk: str
):
    async with hosted(sdk, system.settings, "worker-1") as host, seated(system, host) as engine:
        accepted = await system.client.ask("MIXED", task_description="Please wait.")
        assert (await host.line()).startswith("prompt ")
        await system.client.call(names.CANCEL, {"task_id": accepted.task_id})
        await until(engine.aborted)


async def test_it_is_found_by_its_subject_and_by_its_name(system: System, sdk: str):
    bus = system.client.bus
    async with (
        hosted(sdk, system.settings, "worker-1") as host,
        hosted(sdk, system.settings, "worker-2"),
    ):
        assert (await found(bus, host.subject)).subject == "agents.prompt.demo.tests.worker-1"
        by_name = await found(bus, "demo.tests.worker-2")
        assert by_name.subject == "agents.prompt.demo.tests.worker-2"
        with pytest.raises(Unavailable, match=r"demo\.tests\.worker-1, demo\.tests\.worker-2"):
            await found(bus, "demo.tests.worker-3")
