"""What Ray runs: one engine, one agent and their own connection to NATS, in a process of their own.

Nothing here imports ray. Ray sees only when the process ends, so this process ends when its engine
dies or when NATS is closed to it for good; Ray then starts it anew.
"""

import asyncio
import logging
import os
import sys
from functools import partial

import msgspec

from actors.engines.models import ResolvedModel
from supervisor import engines
from supervisor.actor import EXIT_FAILED, make_agent, serve
from supervisor.config import Config

log = logging.getLogger(__name__)


class Replica:
    """One of a pool's equal agents. Everything handed to it is text: nothing else crosses Ray."""

    def __init__(self, config: str, model: str, pool: str, instance: str) -> None:
        logging.basicConfig(
            level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
        )
        self._config = msgspec.json.decode(config, type=Config)
        self._model = msgspec.json.decode(model, type=ResolvedModel)
        self._pool = pool
        self._instance = instance
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self._run(), name=f"replica {instance}")

    async def alive(self) -> int:
        """Return the process number. Raises what made a start hopeless: a wrong setting."""
        if self._running.done():
            await self._running
        return os.getpid()

    async def drain(self) -> None:
        """Finish or give back what is in hand, then leave NATS."""
        self._stop.set()
        await asyncio.wait([self._running])

    async def _run(self) -> None:
        settings = self._config.pools[self._pool]
        engine = await engines.start(settings, self._model)
        make = partial(
            make_agent,
            config=self._config,
            pool=self._pool,
            engine=engine,
            instance=self._instance,
        )
        try:
            code = await serve(make, self._config, f"agent {self._instance}", self._stop)
        except Exception:
            log.exception("agent failed instance=%s", self._instance)
            code = EXIT_FAILED
        if code:
            os._exit(code)
