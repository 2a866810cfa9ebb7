"""Tasks that are never forgotten: referenced while they run, counted, reported when they fail."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class TaskSet:
    """The running tasks of one actor: asyncio itself keeps only weak references to them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures = 0
        self._tasks: dict[asyncio.Task[None], None] = {}  # in the order of their beginning

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None], name: str = "") -> asyncio.Task[None]:
        """Run `work` on its own; an exception it lets out is logged and counted, never lost."""
        task = asyncio.get_running_loop().create_task(work, name=name or self.name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures += 1
            log.error("task failed set=%s task=%s", self.name, task.get_name(), exc_info=error)

    async def join(self, timeout_s: float) -> int:
        """Wait for all to end; after `timeout_s` cancel the rest and return how many that were."""
        if not self._tasks:
            return 0
        _, late = await asyncio.wait(tuple(self._tasks), timeout=timeout_s)
        await self.cancel()
        return len(late)

    async def cancel(self) -> None:
        """Cancel every task and wait until each has ended."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
