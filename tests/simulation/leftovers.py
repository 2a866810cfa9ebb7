"""What a run may not leave behind, and what nobody may have logged."""

import asyncio
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tests.simulation.engine import Planted

if TYPE_CHECKING:
    from tests.simulation.world import World

LOGGERS = ("actors", "supervisor")

GOING_S = 60.0
"""What was cancelled has ended after this."""


def look_for_leftovers(world: "World") -> None:
    """Note every task, subscription, consumer, connection and timer that is still there."""
    for process in world.processes:
        if process.code == 0 and process.left_behind:
            world.note(f"{process.spec.id} left behind: {process.left_behind}")
        if process.tasks:
            found = sorted(each.get_name() for each in process.tasks)
            world.note(f"tasks of {process.spec.id} outlived it: {found}")
    server = world.network.server
    consumers = [
        key for key, each in server.consumers.items() if each.is_ephemeral and not each.deleted
    ]
    left = {
        "subscriptions": [each.subject for each in server.subscribers],
        "consumers": consumers,
        "connections": world.network.clients,
        "timers": world.loop.timers,
    }
    for kind, found in left.items():
        if found:
            world.note(f"{len(found)} {kind} left: {found[:5]}")


def sweep(loop: asyncio.AbstractEventLoop) -> None:
    """End a loop; where a run broke off, let what still runs in it end first."""
    if tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        with suppress(RuntimeError):
            loop.run_until_complete(asyncio.wait(tasks, timeout=GOING_S))
    loop.close()


@contextmanager
def watched(world: "World") -> Iterator[None]:
    """Note every exception that reaches the loop or a log, but for those planted."""
    world.loop.set_exception_handler(lambda _, context: world.note(_told(context)))
    watching = _Errors(world)
    for name in LOGGERS:
        logging.getLogger(name).addHandler(watching)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(watching)


def _told(context: dict[str, Any]) -> str:
    error = context.get("exception")
    place = traceback.extract_tb(error.__traceback__)[-1] if error is not None else ""
    return f"the loop caught {error or context['message']!r} {place}"


class _Errors(logging.Handler):
    def __init__(self, world: "World") -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and not isinstance(record.exc_info[1], Planted):
            self._world.note(f"{record.name}: {record.getMessage()}: {record.exc_info[1]!r}")
