"""Everything on this machine: nats-server, the core actors, the agents, and their supervisor.

up        for `conclave up`: with signals, until it is over
running   for the demonstration and the tests: a context manager
"""

import asyncio
import logging
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from actors.settings import BusSettings
from supervisor import nats_server
from supervisor.config import INHERITED, Config, ConfigError, handed_over, masked_url
from supervisor.errors import GaveUp
from supervisor.health import Prober
from supervisor.spec import ChildSpec, PoolAnswers, Probe, ServiceAnswers
from supervisor.supervisor import Outcome, Supervisor

CORE: Final = ("registry", "dispatcher", "collector", "responder")
"""The core actors in starting order; they start together, since each waits for what it needs."""

AGENTS_SHARE_OF_STOP: Final = 0.8
"""Agents may use this part of the stop time-out to finish texts; the others need little."""

OUTSIDE_FAULTS: Final = (3,)
HOPELESS: Final = (2,)
"""What the exit codes of `conclave run` (supervisor/cli/errors.py) mean to its supervisor."""

logger = logging.getLogger(__name__)


class RunningSystem(Struct, frozen=True):
    """A system in which every actor answers. `nats` is how a client connects."""

    url: str
    nats: BusSettings
    supervisor: Supervisor

    def pid(self, child_id: str) -> int | None:
        """Return a child's process number (`nats-server`, `dispatcher`, `default-1`, …)."""
        return self.supervisor.pid(child_id)


def say(line: str) -> None:
    """Write a line on stdout where whoever started us waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def up(config: Config, *, announce: Callable[[str], None] = say) -> int:
    """Run everything until SIGTERM, SIGINT or escalation; return the exit code.

    `announce` gets the one line `ready nats://…` once every actor answers. A second signal
    kills instead of stopping.
    """
    async with _supervised(config) as (effective, supervisor):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                announcing = tasks.create_task(_announce(supervisor, effective, announce))
                outcome = await supervisor.run()
                announcing.cancel()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
    return outcome.exit_code


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[RunningSystem]:
    """Run everything while the block lasts. Raises GaveUp if it cannot be started or kept alive."""
    async with _supervised(config) as (effective, supervisor):
        supervising = asyncio.create_task(supervisor.run(), name="supervisor")
        try:
            await _ready(supervisor, supervising)
            yield RunningSystem(effective.nats.url, effective.nats, supervisor)
        finally:
            supervisor.stop()
            outcome = await supervising
    if outcome.exit_code:
        raise GaveUp(outcome.exit_code, outcome.reason)


@asynccontextmanager
async def _supervised(config: Config) -> AsyncIterator[tuple[Config, Supervisor]]:
    """Make a supervisor that asks its children through NATS until it stops them."""
    with _prepared(config) as (effective, children):
        prober = Prober(effective.nats)
        supervisor = Supervisor(children, effective.supervisor, prober.ask)
        leaving = asyncio.create_task(_leave(supervisor, prober), name="leave NATS")
        try:
            yield effective, supervisor
        finally:
            leaving.cancel()
            await prober.close()


async def _leave(supervisor: Supervisor, prober: Prober) -> None:
    """Disconnect before nats-server is stopped: its end is no news then."""
    await supervisor.stopping.wait()
    await prober.close()


async def _ready(supervisor: Supervisor, supervising: asyncio.Task[Outcome]) -> None:
    waiting = asyncio.create_task(supervisor.ready.wait())
    try:
        await asyncio.wait([waiting, supervising], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if supervising.done():
        outcome = supervising.result()
        raise GaveUp(outcome.exit_code, outcome.reason or "stopped before it was ready")


async def _announce(
    supervisor: Supervisor, config: Config, announce: Callable[[str], None]
) -> None:
    await supervisor.ready.wait()
    announce(f"ready {masked_url(config.nats.url)}")


@contextmanager
def _prepared(config: Config) -> Iterator[tuple[Config, Sequence[ChildSpec]]]:
    """Settle what is open (port, store) and yield the configuration in effect and the children."""
    if config.nats.url:
        yield config, children(config)
        return
    if config.retention.replicas > 1:
        wrong = f"{config.retention.replicas} copies cannot lie on the one server started here"
        raise ConfigError("configuration", "retention.replicas", wrong, "1, or nats.url")
    server = nats_server.settled(config.server)
    with nats_server.store(server) as directory:
        login = replace(config.nats, url=nats_server.url(server))
        effective = replace(config, server=server, nats=login)
        logger.info("nats-server url=%s store_dir=%s", login.url, directory)
        first = nats_server.child(server, login, directory)
        yield effective, (first, *children(effective))


def children(config: Config) -> Sequence[ChildSpec]:
    """Return every actor's specification in starting order; agents last, so they stop first."""
    run = secrets.token_hex(3)
    kinds = (*CORE, "synadia") if config.synadia.enabled else CORE
    specs = [_core(config, kind, f"{kind}-{run}") for kind in kinds]
    for pool, settings in config.pools.items():
        if settings.engine == "scripted":
            names = [f"{pool}-{number}" for number in range(1, settings.replicas + 1)]
            specs += [_scripted_agent(config, pool, name, f"{name}-{run}") for name in names]
        else:
            specs.append(_placement(config, pool, f"{pool}-{run}"))
    return tuple(specs)


def _core(config: Config, kind: str, instance: str) -> ChildSpec:
    answers = ServiceAnswers(f"conclave-{kind}", instance)
    stop_s = config.supervisor.stop_timeout_seconds
    return _actor(config, kind, (kind, "--instance", instance), answers, stop_timeout_s=stop_s)


def _scripted_agent(config: Config, pool: str, name: str, instance: str) -> ChildSpec:
    """An agent in a process of its own: without a model there is nothing for Ray to place."""
    argv = ("agent", "--pool", pool, "--instance", instance)
    return _actor(config, name, argv, ServiceAnswers("conclave-agent", instance))


def _placement(config: Config, pool: str, instance: str) -> ChildSpec:
    """A Ray driver that places the pool's agents; loading their model takes its time."""
    argv = ("placement", "--pool", pool, "--instance", instance)
    spec = _actor(config, pool, argv, ServiceAnswers("conclave-placement", instance))
    agents = PoolAnswers("conclave-agent", pool, config.pools[pool].replicas)
    patience_s = config.supervisor.engine_start_timeout_seconds
    return replace(spec, ready=agents, start_timeout_s=patience_s)


def _actor(
    config: Config,
    child_id: str,
    argv: tuple[str, ...],
    answers: Probe,
    *,
    stop_timeout_s: float | None = None,
) -> ChildSpec:
    agents_stop_s = config.supervisor.stop_timeout_seconds * AGENTS_SHARE_OF_STOP
    return ChildSpec(
        id=child_id,
        argv=(sys.executable, "-m", "supervisor", "run", *argv, "--supervised"),
        env={INHERITED: handed_over(config)},
        ready=answers,
        health=answers,
        start_timeout_s=config.supervisor.start_timeout_seconds,
        stop_timeout_s=stop_timeout_s or agents_stop_s,
        outside_faults=OUTSIDE_FAULTS,
        hopeless=HOPELESS,
    )
