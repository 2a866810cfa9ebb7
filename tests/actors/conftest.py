"""Fixtures of the actors' tests, which run on the event loop that actors run on."""

from asyncio import AbstractEventLoop
from collections.abc import Callable

import pytest
import uvloop
from msgspec.structs import replace

from subjects.streams import ConsumerSpec, agent_consumer, dispatch_consumer, submission_consumer
from tests.harness.system import System

SHORT = (0.3, 0.3, 0.3, 0.3, 0.3)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """Uvloop alone: the bus below is tested on both."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other soon, and deserted queues are looked at often."""

    def hurried(spec: ConsumerSpec) -> ConsumerSpec:
        return replace(spec, backoff_s=SHORT)

    monkeypatch.setattr(
        "actors.agents.agent.agent_consumer", lambda queue: hurried(agent_consumer(queue))
    )
    monkeypatch.setattr(
        "actors.intake.fan_out.dispatch_consumer", lambda: hurried(dispatch_consumer())
    )
    monkeypatch.setattr(
        "actors.intake.submissions.submission_consumer", lambda: hurried(submission_consumer())
    )
    monkeypatch.setattr("actors.dead_letters.dead_letter_office.SWEEP_S", 0.1)


@pytest.fixture
async def home(council: System) -> System:
    """Everybody is there."""
    return council
