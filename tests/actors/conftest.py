"""Actors are tested on the event loop that they run on."""

from asyncio import AbstractEventLoop
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """Uvloop alone: the bus below is tested on both."""
    return {"uvloop": uvloop.new_event_loop}
