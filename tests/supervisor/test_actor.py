"""An actor that does not get through its start ends as whole as one that was drained."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from actors.bus import Unavailable
from actors.bus.nats_bus import NatsBus
from actors.deliberations.collector import Collector
from actors.settings import BusSettings
from supervisor import actor, config
from supervisor.config import Config

KINDS = ("registry", "dispatcher", "collector", "responder", "synadia", "agent")


@pytest.fixture
def system(nats_settings: BusSettings) -> Config:
    """The configuration of a system whose agents are scripted."""
    pools = {"default": {"engine": "scripted"}}
    return replace(config.load(flags={"pools": pools}, environ={}), nats=nats_settings)


@pytest.fixture
def at_the_last_step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Does something else where a start would subscribe for the last time."""

    def at_the_last_step(kind: str, instead: Callable[[], object]) -> None:
        last = f"$SRV.STATS.conclave-{kind}.{kind}-1"
        serve = NatsBus.serve

        async def serve_unless(bus, subject, *rest):
            if subject == last:
                await instead()
            return await serve(bus, subject, *rest)

        monkeypatch.setattr(NatsBus, "serve", serve_unless)

    return at_the_last_step


@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_told_to_stop_while_starting_leaves_nothing_running(
    kind: str, system: Config, at_the_last_step
):
    stop = asyncio.Event()

    async def told_while_nats_is_away() -> None:
        stop.set()
        await asyncio.Event().wait()

    at_the_last_step(kind, told_while_nats_is_away)
    before = asyncio.all_tasks()
    assert await actor.run(kind, system, "default", f"{kind}-1", stop) == actor.EXIT_OK
    assert asyncio.all_tasks() == before


async def test_who_cannot_go_on_while_starting_says_so(
    system: Config, at_the_last_step, monkeypatch: pytest.MonkeyPatch
):
    """Else one that waits for what only its broken half would bring, waits for ever."""
    made = asyncio.Event()

    class Broken(Collector):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            self.failed = made

    async def break_down() -> None:
        made.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(actor, "Collector", Broken)
    at_the_last_step("collector", break_down)
    stop = asyncio.Event()
    ended = await actor.run("collector", system, "default", "collector-1", stop)
    assert ended == actor.EXIT_FAILED


@pytest.mark.parametrize("kind", KINDS)
async def test_whose_start_fails_leaves_nothing_running(
    kind: str, system: Config, at_the_last_step
):
    async def fail() -> None:
        raise Unavailable("the link is lost")

    at_the_last_step(kind, fail)
    before = asyncio.all_tasks()
    with pytest.raises(Unavailable, match="the link is lost"):
        await actor.run(kind, system, "default", f"{kind}-1", asyncio.Event())
    assert asyncio.all_tasks() == before
