"""Waiting for what happens, never for time to pass."""

import asyncio
from collections.abc import Awaitable, Callable

LONG_S = 20.0


async def until(condition: Callable[[], object], within_s: float = LONG_S) -> None:
    """Return when `condition` holds; for what tells nobody when it changes."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


async def until_async(condition: Callable[[], Awaitable[object]], within_s: float = LONG_S) -> None:
    """Return when `condition`, which must be asked over the network, holds."""
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.02)
