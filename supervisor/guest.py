"""A foreign seat as this process: connect, take the seat, hold it until told, give it up."""

import asyncio
import logging
import signal
from collections.abc import Callable

import uvloop

from actors.bus import Bus
from actors.bus.nats_bus import connect
from actors.engines.engine import Engine
from actors.guests.guest import Guest
from actors.settings import BusSettings
from schemas.council import CouncilJoin
from supervisor.actor import live

log = logging.getLogger(__name__)

Make = Callable[[Bus], Engine]
CONNECT_S = 5.0


def run(
    settings: BusSettings, joining: CouncilJoin, make: Make, told: Callable[[Guest], None]
) -> int:
    """Hold a seat until SIGTERM or Ctrl-C; return the exit code. `told` is called when it is taken.

    Raises Refused when the seat cannot be had, BusError without NATS.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_hold(settings, joining, make, told))


async def _hold(
    settings: BusSettings, joining: CouncilJoin, make: Make, told: Callable[[Guest], None]
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    bus = await connect(settings, f"seat {joining.seat}", timeout_s=CONNECT_S)
    try:
        engine = make(bus)
        guest = Guest(bus, engine, joining, joining.seat)
        try:
            await engine.check()
            return await live(guest, bus, stop, lambda: told(guest))
        finally:
            await engine.close()
    finally:
        await bus.close()
