"""One actor as this process: signals, the parent's end, exit code.

`conclave run` comes here. A supervisor comes here directly, without the command line's library:
that costs 0.3 s of processor time, and six children start at once.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Literal, get_args

import uvloop

from supervisor import config as configured
from supervisor.cli import errors
from supervisor.config import Config, ConfigError

Kind = Literal["dispatcher", "collector", "responder", "registry", "agent", "placement", "synadia"]


def is_meant(arguments: Sequence[str]) -> bool:
    """Tell whether a supervisor wrote this command line: `run KIND … --supervised`."""
    return arguments[:1] == ["run"] and arguments[-1:] == ["--supervised"]


def main(arguments: Sequence[str]) -> int:
    """Run the actor that a supervisor asks for; the configuration is in the environment."""
    parser = argparse.ArgumentParser(prog="conclave run")
    parser.add_argument("kind", choices=get_args(Kind))
    parser.add_argument("--instance", required=True)
    parser.add_argument("--pool", default="default")
    parser.add_argument("--supervised", action="store_true", required=True)
    told = parser.parse_args(arguments)
    try:
        return run(told.kind, configured.load(), told.instance, told.pool, supervised=True)
    except errors.EXPECTED as error:
        errors.say(f"conclave: ERROR {errors.one_line(error)}")
        return errors.exit_code_of(error)


def run(kind: Kind, config: Config, instance: str, pool: str, *, supervised: bool) -> int:
    """Run one actor until a signal or, `supervised`, the end of stdin; return its exit code."""
    if pool not in config.pools:
        allowed = ", ".join(config.pools)
        raise ConfigError("command line", "--pool", f"there is no pool {pool!r}", allowed)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_told(kind, config, instance, pool, supervised=supervised))


async def _until_told(
    kind: Kind, config: Config, instance: str, pool: str, *, supervised: bool
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if supervised:
        threading.Thread(target=_until_orphaned, args=(loop, stop), daemon=True).start()
    if kind == "placement":
        placement = import_module("supervisor.placement")  # Ray is heavy and may be absent
        code: int = await placement.run_pool(config, pool, instance, stop)
    else:
        actor = import_module("supervisor.actor")
        code = await actor.run(kind, config, pool, instance, stop)
    return code


def _until_orphaned(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait for the end of stdin, which the parent holds open as long as it lives."""
    while os.read(sys.stdin.fileno(), 4_096):
        pass
    loop.call_soon_threadsafe(stop.set)
