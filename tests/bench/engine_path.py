"""What do NATS and our agent cost over the same AsyncLLM driven directly?

One process holds one AsyncLLM, two agents over it (one streams deltas as it does by default, one
only a text's first piece), and a loop that drives it directly, with tokens from the same template,
the same sampling and the same seeds, for whole texts and for deltas. A client in a process of its
own asks the agents by bare nats-py. Loads alternate, the prefix cache is emptied before each, and
what is compared is compared within a repeat. First tokens are timed where they are wanted: in the
client, and in the loop.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.settings import BusSettings, PoolSettings
from tests.bench.agent_host import Command, Forget, Plan, Run
from tests.bench.engine_load import Load, Sending, Times
from tests.bench.measuring import Bar, Options, Result, median, percentile
from tests.bench.models import available
from tests.harness.nats_server import Server

WAYS = ("direct, whole", "direct, streamed", "agent, quiet", "agent, streamed")
TEXTS = {1: 16, 16: 48, 64: 128, 256: 256}
"""How many texts are written at so many in flight."""
MAX_TOKENS = 64
REPEATS = 3
MODEL = "bundled"
SETTINGS = PoolSettings(max_model_len=1_024, kv_cache_mib=512, max_concurrency=256)
QUIET_MS = 10_000
END_S = 20.0
"""Killed alone, who holds an engine would leave the engine's own process behind."""
LEAST, MOST_ADDED_MS, MOST_COST = 0.97, 2.0, 0.05
Samples = Mapping[tuple[int, str], list[Times]]
"""By texts in flight and way, one for each repeat."""


async def measure(options: Options) -> Result:
    """Compare the ways to the bundled model; where it is missing, to one of random weights."""
    models = available()
    name = MODEL if MODEL in models else next(iter(models))
    settings = replace(SETTINGS, model=str(models[name]))
    repeats = options.repeats or (1 if options.quick else REPEATS)
    samples = await compared(settings, TEXTS, repeats, 8 if options.quick else 1)
    return Result(
        bench="engine_path",
        question=__doc__.partition("\n")[0],
        rows=rows(name, samples),
        bars=bars(samples),
        notes=(
            f"max_tokens {MAX_TOKENS}; medians of {repeats} repeats; first token in ms;"
            " `of direct`: tokens/s over the direct loop's that streams alike.",
            "host µs: processor time for a token in the process that holds agents and AsyncLLM;"
            " the engine's own process beside it is not counted.",
        ),
        detail={f"{load} {way}": found for (load, way), found in samples.items()},
    )


async def compared(
    settings: PoolSettings, texts: Mapping[int, int], repeats: int, less: int = 1
) -> Samples:
    """Write the same texts every way, in turn; `less` divides how many. The first is warm-up."""
    samples: defaultdict[tuple[int, str], list[Times]] = defaultdict(list)
    with nats() as login:
        agents = {
            "STREAMED": replace(settings, queues=("STREAMED",)),
            "QUIET": replace(settings, queues=("QUIET",), delta_ms=QUIET_MS),
        }
        plan = Plan(nats=login, agents=agents)
        async with host(plan) as engine, part("engine_load", login_url(login)) as client:
            for repeat in range(-1, repeats):
                for in_flight, count in texts.items():
                    for way in WAYS[repeat % 4 :] + WAYS[: repeat % 4]:
                        load = Load(
                            name=f"{repeat}-{in_flight}-{WAYS.index(way)}",
                            texts=max(1, count // (less if repeat >= 0 else 8)),
                            in_flight=in_flight,
                            max_tokens=MAX_TOKENS,
                            seed=repeat + 1,
                        )
                        times = await _sent(engine, client, way, load)
                        if repeat >= 0:
                            samples[in_flight, way].append(times)
    return samples


async def _sent(engine: Process, client: Process, way: str, load: Load) -> Times:
    before_s = await ordered(engine, Forget())
    if way.startswith("direct"):
        told = await ordered(engine, Run(way=way, load=load))
    else:
        queue = "QUIET" if way.endswith("quiet") else "STREAMED"
        told = await ordered(client, Sending(queue, load))
    spent_s = await ordered(engine, Forget()) - before_s
    return replace(msgspec.convert(told, Times), host_s=spent_s)


@contextlib.contextmanager
def nats() -> Iterator[BusSettings]:
    """Run a nats-server with a new store."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), accounts=1)
        server.start()
        try:
            login = server.account()
            assert login is not None
            yield login
        finally:
            server.kill()


def login_url(login: BusSettings) -> str:
    """Return a url that says who we are, for clients of one argument."""
    return login.url.replace("//", f"//{login.user}:{login.password}@")


@contextlib.asynccontextmanager
async def part(module: str, argument: str, **environment: str) -> AsyncIterator[Process]:
    """Run a module here in a process of its own; it says when it is ready, and ends with stdin."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.bench.{module}", argument,
        stdin=PIPE, stdout=PIPE, limit=2**26, env=os.environ | environment,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        if not await process.stdout.readline():
            raise RuntimeError(f"{module} did not start")
        yield process
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def host(plan: Plan, **environment: str) -> contextlib.AbstractAsyncContextManager[Process]:
    """Run an `agent_host`."""
    return part("agent_host", msgspec.json.encode(plan).decode(), **environment)


async def ordered(process: Process, command: Command | Sending) -> Any:
    """Give a command and return the answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(command) + b"\n")
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the process has ended")
    return msgspec.json.decode(line)


class _Row(Struct, frozen=True):
    speed: float
    first_ms: float


def _figures(times: Times) -> _Row:
    return _Row(times.tokens / times.wall_s, percentile(times.first_ms, 0.5))


def rows(model: str, samples: Samples) -> list[dict[str, Any]]:
    """Return one row for each load and way."""
    return [
        {
            "model": model,
            "in flight": in_flight,
            "way": way,
            "tokens/s": median([_figures(times).speed for times in found]),
            "of direct": _ratio(samples, in_flight, way, _direct(way)),
            "host µs": median([1e6 * times.host_s / times.tokens for times in found]),
            "first token": median([_figures(times).first_ms for times in found])
            if way != "direct, whole"
            else None,
            "p99": median([percentile(times.first_ms, 0.99) for times in found])
            if way != "direct, whole"
            else None,
        }
        for (in_flight, way), found in samples.items()
    ]


def _direct(way: str) -> str:
    return "direct, streamed" if way.endswith("streamed") else "direct, whole"


def _ratio(samples: Samples, in_flight: int, way: str, other: str) -> float:
    """Return the median over the repeats of one way's tokens/s over another's."""
    pairs = zip(samples[in_flight, way], samples[in_flight, other], strict=True)
    return median([_figures(one).speed / _figures(two).speed for one, two in pairs])


def bars(samples: Samples) -> list[Bar]:
    """Return what the path is held to."""
    firsts = zip(samples[1, "agent, streamed"], samples[1, "direct, streamed"], strict=True)
    added = [_figures(agent).first_ms - _figures(direct).first_ms for agent, direct in firsts]
    return [
        Bar(
            text="tokens/s of direct, 64 in flight, streamed",
            value=_ratio(samples, 64, "agent, streamed", "direct, streamed"),
            limit=LEAST,
            at_least=True,
        ),
        Bar(
            text="ms added to the first token, 1 in flight",
            value=median(added),
            limit=MOST_ADDED_MS,
        ),
        Bar(
            text="throughput that streaming costs, 64 in flight",
            value=1 - _ratio(samples, 64, "agent, streamed", "agent, quiet"),
            limit=MOST_COST,
        ),
    ]
