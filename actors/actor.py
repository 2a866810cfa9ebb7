"""What every actor is: starting → ready → draining → stopped.

start   joins streams and subscribes; discovery comes last, so who answers a PING is ready
failed  is set when the actor cannot go on; its process exits and the supervisor starts it anew
drain   takes nothing new, finishes what it has, and returns
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from actors.bus import BusError
from actors.service import Service
from actors.tasks import TaskSet

log = logging.getLogger(__name__)

RETRY_S = 0.5


class Actor(Protocol):
    """One participant of the conversation."""

    service: Service
    failed: asyncio.Event

    async def start(self) -> None:
        """Begin; return when ready. Raises BusError."""

    async def drain(self) -> None:
        """Take nothing new, finish what is in hand."""


def keep_running(
    tasks: TaskSet, failed: asyncio.Event, name: str, loop: Callable[[], Awaitable[None]]
) -> asyncio.Task[None]:
    """Run an actor's loop: anew after a bus error, while any other error fails the actor.

    Failing beats carrying on in an unknown state: the process ends and starts from the stream.
    """

    async def run() -> None:
        try:
            while True:
                try:
                    await loop()
                except BusError as error:
                    log.warning("loop=%s again after error=%s", name, error)
                await asyncio.sleep(RETRY_S)
        except Exception:
            log.exception("loop=%s failed", name)
            failed.set()

    return tasks.spawn(run(), name)
