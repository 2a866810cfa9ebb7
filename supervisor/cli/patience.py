"""Telling people that something takes its time: a spinner with a clock, or a line now and then."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 10.0


@asynccontextmanager
async def patience(console: Console, what: str) -> AsyncIterator[None]:
    """Say that `what` is going on for as long as the block lasts."""
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task(f"{what} …", total=None)
            yield
        return
    telling = asyncio.create_task(_tell(console, what))
    try:
        yield
    finally:
        telling.cancel()


async def _tell(console: Console, what: str) -> None:
    began = time.perf_counter()
    console.print(f"{what} …", markup=False)
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        console.print(f"{what} … {time.perf_counter() - began:.0f} s", markup=False)
