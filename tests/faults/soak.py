"""`just soak minutes=30`: a steady load with a fault every minute; is everything flat?

Of every process: resident memory, threads, file descriptors, asyncio tasks and subscriptions, and
of the stream its consumers, every few seconds. Trends are taken after a warm-up of a fifth of the
time, in which faults come three times as often: what memory a fault takes at most, a process
keeps, and after about ten of a kind that is reached.

Core actors and the first agent live through all faults: nats-server dies in the first half of the
warm-up and hangs later, their consumers are deleted, poison comes, a second agent dies. The stream
keeps three minutes, so that it is of one size; and as many outcomes as the query responder counts
at most are told before, so that its memory of the last hour, and the agents' of what is over, are
full from the beginning.

Writes soak.json, soak.md and soak.png to tests/faults/results/. Exit code 1 when a trend is above
its bar or a deliberation was lost, doubled or late.
"""

import argparse
import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import uvloop

from actors.clock import now_ms
from actors.queries.stats import MAX_ENTRIES
from actors.settings import Retention
from schemas.agent import Usage
from schemas.codec import encode
from schemas.result import Deliberation
from subjects import names
from supervisor import nats_server
from supervisor.config import EmbeddedServer
from tests.faults.ledger import FILLER
from tests.faults.rows import messages, processes, server
from tests.faults.run import flag
from tests.faults.sampling import Sample, sample, trends
from tests.faults.scene import EVERYBODY, Load, Scene, supervised
from tests.faults.server_memory import profiled
from tests.faults.soak_report import Hurt, Soak, as_table, keep, last_line

KEPT_HOURS = 0.05
WARM_UP = 0.2
WARM_UP_EVERY_S, EVERY_S = 20.0, 60.0
"""Seconds between two faults, while warming up and afterwards."""

SETTLING_S = 20.0
SECOND = "second"
HANG_S = 2.0
"""Shorter than what its supervisor takes for dead."""


async def hang(scene: Scene) -> None:
    """nats-server stands still for a moment, and goes on."""
    async with scene.recovering():
        process = await scene.process("nats-server")
        process.suspend()
        await asyncio.sleep(HANG_S)
        process.resume()
        await scene.back(*EVERYBODY)


async def replace_second(scene: Scene) -> None:
    """The second agent dies by kill -9, and another comes for it."""
    async with scene.recovering():
        await scene.kill(SECOND)
        await scene.spawn("agent", SECOND)


FIRST = ("kill -9 of nats-server", lambda scene: processes.kill(scene, "nats-server"))
LATER = (f"nats-server hangs for {HANG_S:g} s", hang)
OTHERS = (
    ("every consumer is deleted", server.delete_consumers),
    ("kill -9 of the second agent", replace_second),
    ("poison on every stored subject", messages.poison),
)


@asynccontextmanager
async def small(load: Load, tag: str) -> AsyncIterator[tuple[Scene, str, str]]:
    """A system whose stream keeps minutes; the monitoring and the profile of its nats-server."""
    settled = nats_server.settled(EmbeddedServer(port=0, temporary_store=True))
    retention = Retention(max_age_hours=KEPT_HOURS)
    with profiled() as profile:
        async with supervised(load, tag, server=settled, retention=retention) as scene:
            yield scene, f"http://127.0.0.1:{settled.http_port}", profile


async def soak(minutes: float, load: Load, every_s: float) -> Soak:
    """Run a soak; sample every `every_s` seconds."""
    begun = time.monotonic()
    samples: list[Sample] = []
    done: list[Hurt] = []
    async with small(load, "soak") as (scene, *pages):
        await fill(scene)
        await scene.spawn("agent", SECOND)
        background = [
            asyncio.create_task(scene.ledger.keep_reading()),
            asyncio.create_task(_sampling(scene, pages, samples, every_s)),
        ]
        async with scene.ledger.load(load.per_second):
            await _hurt(scene, minutes, done)
        for task in background:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await scene.ledger.settled(load.timeout_s + 10.0)
        print(f"{time.monotonic() - begun:.0f} s in all", flush=True)
        return Soak(
            minutes=minutes,
            faults=done,
            verdict=scene.ledger.verdict(),
            trends=trends(samples, warm_up_s=WARM_UP * 60 * minutes, settling_s=SETTLING_S),
            samples=samples,
            problems=scene.problems,
        )


async def fill(scene: Scene, count: int = MAX_ENTRIES) -> None:
    """Store so many outcomes of nobody's deliberations, with figures as large as real ones."""
    numbers = iter(range(count))

    async def store() -> None:
        for number in numbers:
            told = Deliberation(
                task_id=f"{FILLER}{number}",
                role="DEV",
                protocol="independent",
                status="COMPLETED",
                created_at_ms=now_ms(),
                duration_ms=1_000,
                usage=Usage(prompt_tokens=1_000, completion_tokens=300),
            )
            subject = names.outcome("completed", told.task_id)
            await scene.witness.store(subject, encode(told))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(64):
            tasks.create_task(store())
    print(f"{count} outcomes stored before", flush=True)


async def _hurt(scene: Scene, minutes: float, done: list[Hurt]) -> None:
    """Inject one fault after the other."""
    begun = time.monotonic()
    for number, at_s in enumerate(moments(minutes)):
        faults = (FIRST if at_s < WARM_UP / 2 * 60 * minutes else LATER, *OTHERS)
        fault, inject = faults[number % len(faults)]
        await asyncio.sleep(begun + at_s - time.monotonic())
        done.append(Hurt(time.monotonic() - begun, fault))
        await inject(scene)
        back_s = scene.recoveries[-1] or float("inf")
        print(f"{done[-1].at_s:6.0f} s  {fault}, back after {back_s:.1f} s", flush=True)
    await asyncio.sleep(begun + 60 * minutes - time.monotonic())


def moments(minutes: float) -> Iterator[float]:
    """Yield when faults are injected: seconds from the beginning."""
    at_s, over_s = WARM_UP_EVERY_S / 2, 60 * minutes
    while at_s < WARM_UP * over_s:
        yield at_s
        at_s += WARM_UP_EVERY_S
    at_s = WARM_UP * over_s + EVERY_S / 2
    while at_s < over_s:
        yield at_s
        at_s += EVERY_S


async def _sampling(
    scene: Scene, pages: Sequence[str], samples: list[Sample], every_s: float
) -> None:
    begun = time.monotonic()
    while True:
        samples += await sample(scene, time.monotonic() - begun, *pages)
        await asyncio.sleep(every_s)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--per-second", type=float, default=5.0)
    parser.add_argument("--every-s", type=float, default=5.0, help="between two samples")
    arguments = parser.parse_args([flag(word) for word in sys.argv[1:]])
    logging.basicConfig(level=logging.CRITICAL)
    load = Load(per_second=arguments.per_second, forgetful=True)
    found = uvloop.run(soak(arguments.minutes, load, arguments.every_s))
    keep(found, load)
    print(f"\n{as_table(found)}\n")
    print("\n".join([*found.problems, last_line(found)]))
    return int(not found.clean)


if __name__ == "__main__":
    sys.exit(main())
