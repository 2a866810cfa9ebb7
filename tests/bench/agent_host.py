"""Agents of ours and the engine they share, in one process that also drives the engine directly.

    python -m tests.bench.agent_host PLAN    a `Plan` as JSON

Reads `Command`s from stdin, one a line, and answers each with one line. So the two ways to the
same AsyncLLM, through NATS and an agent, and by a loop beside it, differ in nothing else.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, Literal

import msgspec
import uvloop
from msgspec import Struct

from actors.agents.agent import Agent
from actors.bus.nats_bus import connect
from actors.engines.engine import Delta, Engine, Generated, Generation
from actors.settings import BusSettings, PoolSettings
from subjects.streams import streams
from supervisor import engines
from tests.bench.engine_load import Load, Times, load

Direct = Literal["direct, whole", "direct, streamed"]


class Plan(Struct, frozen=True, kw_only=True):
    """Which agents there are, by name; the first one's settings are the engine's."""

    nats: BusSettings
    agents: Mapping[str, PoolSettings]


class Aborts(Struct, frozen=True):
    """When generations were aborted: `handed`, by task and in seconds of the monotonic clock, when
    the engine had been told; `running`, when it ran how many, as vLLM's scheduler counted.
    """

    handed: dict[str, list[float]] = {}
    running: list[tuple[float, int]] = []


class Run(Struct, frozen=True, tag=True):
    """Drive the engine directly."""

    way: Direct
    load: Load


class Forget(Struct, frozen=True, tag=True):
    """Empty the prefix cache, and tell the processor time of this process so far, in seconds."""


class Report(Struct, frozen=True, tag=True):
    """Tell the aborts so far and forget them."""


Command = Run | Forget | Report


class Watched:
    """An engine whose aborts are noted; else it is the engine itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.model = engine.name, engine.model
        self.check, self.aborted, self.close = engine.check, engine.aborted, engine.close
        self.seen = Aborts()
        if engine.name == "vllm":
            vllm: Any = engine
            vllm._llm.logger_manager.stat_loggers.append(self)

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta | Generated, None]:
        try:
            async with aclosing(self._engine.generate(generation)) as stream:
                async for piece in stream:
                    yield piece
        except (GeneratorExit, asyncio.CancelledError):
            task_id = generation.request_id.partition(".")[0]
            self.seen.handed.setdefault(task_id, []).append(time.monotonic())
            raise

    def record(self, scheduler_stats: Any, *_: Any, **__: Any) -> None:
        """As a logger of vLLM: called for every step, with what the engine's process counted."""
        if scheduler_stats is not None:
            self.seen.running.append((time.monotonic(), scheduler_stats.num_running_reqs))

    def __getattr__(self, name: str) -> Any:
        """Whatever else a logger of vLLM may be told."""
        if name.startswith(("log", "record")):
            return lambda *_, **__: None
        raise AttributeError(name)


async def drive(engine: Any, run: Run) -> Times:
    """Send a load to AsyncLLM as a program would that has it in its own process."""
    llm, tokenizer = engine._llm, engine._tokenizer

    async def one(number: int, mark: str) -> tuple[float, int]:
        asked = run.load.generation(number)
        begun = time.perf_counter()
        chat = [{"role": each.role, "content": each.content} for each in asked.messages]
        prompt = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        parameters = engine._parameters(asked, engine._limit - len(prompt))
        if run.way == "direct, whole":
            parameters.output_kind = type(parameters.output_kind).FINAL_ONLY
        first, written, pieces = 0.0, 0, []
        async for output in llm.generate({"prompt_token_ids": prompt}, parameters, mark):
            first = first or time.perf_counter()
            written += len(output.outputs[0].token_ids)
            pieces.append(output.outputs[0].text)
        assert written
        return first - begun, written

    return await load(run.load, one)


async def obey(engine: Any, command: Command) -> Any:
    match command:
        case Run():
            return await drive(engine, command)
        case Forget():
            # Refused while a step is under way in which a text has just ended.
            while not await engine._llm.reset_prefix_cache():
                await asyncio.sleep(0.01)
            return time.process_time()
        case Report():
            seen, engine.seen = engine.seen, Aborts()
            return seen


async def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    own = Watched if os.environ.get("WATCHED") else (lambda engine: engine)
    engine: Any = own(await engines.start(next(iter(plan.agents.values()))))
    bus = await connect(plan.nats, "bench agents")
    for stream in streams(3_600.0, -1, 1):
        await bus.ensure(stream)
    agents = [
        Agent(bus, engine, pool=name, settings=settings, instance=name)
        for name, settings in plan.agents.items()
    ]
    for agent in agents:
        await agent.start()
    print("ready", flush=True)
    ask = partial(asyncio.get_running_loop().run_in_executor, None, sys.stdin.buffer.readline)
    while line := await ask():
        told = await obey(engine, msgspec.json.decode(line, type=Command))
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()
    for agent in agents:
        await agent.drain()
    await bus.close()
    await engine.close()


if __name__ == "__main__":
    uvloop.run(main())
