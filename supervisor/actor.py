"""One actor as a process: connect, see to the streams, start, run until told or failed, drain."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, TypeVar

from actors.actor import Actor
from actors.bus import Bus
from actors.bus.nats_bus import NatsBus, connect
from actors.councils.registry import Registry
from actors.dead_letters.dead_letter_office import DeadLetterOffice
from actors.deliberations.collector import Collector
from actors.engines.engine import Engine
from actors.intake.dispatcher import Dispatcher
from actors.queries.responder import Responder
from actors.settings import Retention
from actors.synadia.facade import Facade
from actors.together import Together
from subjects.streams import streams
from supervisor import engines
from supervisor.config import Config

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_FAILED = 1
CONNECT_S = 30.0
DRAIN_S = 8.0

Make = Callable[[Bus], Actor]
T = TypeVar("T")


async def run(kind: str, config: Config, pool: str, instance: str, stop: asyncio.Event) -> int:
    """Run one actor until `stop`; return its exit code, 0 after an orderly end.

    `pool` matters to an agent alone. Raises BusError when it cannot begin.
    """
    if kind == "agent":
        engine = await engines.start(config.pools[pool])
        try:
            make = partial(make_agent, config=config, pool=pool, engine=engine, instance=instance)
            return await serve(make, config, f"agent {instance}", stop)
        finally:
            await engine.close()
    makers: dict[str, Make] = {
        "dispatcher": lambda bus: Dispatcher(bus, instance, config.limits),
        "collector": lambda bus: Collector(bus, instance, config.limits),
        "responder": lambda bus: Responder(bus, instance, config.limits),
        # The office has next to nothing to do: it needs no process of its own.
        "registry": lambda bus: Together(
            Registry(bus, instance, config.limits),
            DeadLetterOffice(bus, instance, config.limits),
        ),
        "synadia": lambda bus: Facade(bus, instance, config.synadia, config.limits),
    }
    return await serve(makers[kind], config, f"{kind} {instance}", stop, owner=kind == "registry")


def make_agent(bus: Bus, config: Config, pool: str, engine: Engine, instance: str) -> Actor:
    """Return the agent of a pool over a running engine."""
    from actors.agents.agent import Agent  # noqa: PLC0415

    return Agent(
        bus,
        engine,
        pool=pool,
        settings=config.pools[pool],
        instance=instance,
        named_queues=queues_named_elsewhere(config, pool),
    )


def queues_named_elsewhere(config: Config, pool: str) -> AbstractSet[str]:
    """The queues that other pools serve by name, which `*` therefore leaves out."""
    return {
        queue
        for name, settings in config.pools.items()
        if name != pool
        for queue in settings.queues
        if queue != "*"
    }


async def serve(
    make: Make, config: Config, name: str, stop: asyncio.Event, *, owner: bool = False
) -> int:
    """Connect and run the actor that `make` returns; see `run`.

    The `owner` of the streams brings them to the configured shape; others only make missing ones.
    """
    bus = await _unless(connect(config.nats, name, timeout_s=CONNECT_S), stop)
    if bus is None:
        return EXIT_OK
    try:
        await _unless(_see_to_streams(bus, config.retention, owner=owner), stop)
        if stop.is_set():
            return EXIT_OK
        return await live(make(bus), bus, stop, lambda: log.info("ready name=%s", name))
    finally:
        await bus.close()


async def _see_to_streams(bus: NatsBus, retention: Retention, *, owner: bool) -> None:
    age_s = retention.max_age_hours * 3600
    for stream in streams(age_s, retention.max_bytes, retention.replicas):
        await bus.ensure(stream, update=owner)


async def live(actor: Actor, bus: NatsBus, stop: asyncio.Event, ready: Callable[[], None]) -> int:
    """Start an actor, call `ready`, run it until `stop`, drain it; return the exit code.

    A start that fails or that `stop` cuts short has begun something already: that is drained, too.
    Raises what the start raises.
    """
    ends = (stop, actor.failed, bus.closed)
    try:
        await _unless(actor.start(), *ends)
    except Exception:
        await _drained(actor)
        raise
    if not any(event.is_set() for event in ends):
        ready()
    await _any(*ends)
    failed = actor.failed.is_set() or bus.closed.is_set()
    if not await _drained(actor):
        failed = not stop.is_set()
    return EXIT_FAILED if failed else EXIT_OK


async def _drained(actor: Actor) -> bool:
    """Drain; tell whether there was time for all of it."""
    try:
        async with asyncio.timeout(DRAIN_S):
            await actor.drain()
    except TimeoutError:
        name = f"{actor.service.name} {actor.service.instance}"
        log.warning("stopped with work in hand, it will be redelivered name=%s", name)
        return False
    return True


async def _unless(work: Coroutine[Any, Any, T], *ends: asyncio.Event) -> T | None:
    """What `work` returns; None when one of the events was first, for NATS may be away for long."""
    working = asyncio.ensure_future(work)
    ended = asyncio.ensure_future(_any(*ends))
    try:
        await asyncio.wait((working, ended), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        ended.cancel()
        await asyncio.wait((working, ended))


async def _any(*events: asyncio.Event) -> None:
    """Return when one of the events has come."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
