"""Wakings: when to look at which task again, at most one time for each task."""

import asyncio
import heapq

_SLACK = 1_024
"""Times of tasks that are over lie in the heap until there are so many more than needed."""


class Wakings:
    """Times in epoch ms. A later time than one that is set need not be: it follows from looking."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}
        self._earlier = asyncio.Event()

    def __len__(self) -> int:
        return len(self._heap)

    def clear(self) -> None:
        """Forget every time."""
        self._heap.clear()
        self._due.clear()

    def set(self, task_id: str, at_ms: int) -> None:
        """Look at a task at `at_ms` or, if that is set already, before."""
        if task_id in self._due and self._due[task_id] <= at_ms:
            return
        self._due[task_id] = at_ms
        heapq.heappush(self._heap, (at_ms, task_id))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._heap = [(at, task) for task, at in self._due.items()]
            heapq.heapify(self._heap)
        if self._heap[0] == (at_ms, task_id):
            self._earlier.set()

    def forget(self, task_id: str) -> None:
        """A task is over."""
        self._due.pop(task_id, None)

    def take(self, now_ms: int) -> list[str]:
        """The tasks whose time has come; their times are forgotten."""
        self._earlier.clear()
        come = []
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, task_id = heapq.heappop(self._heap)
            if self._due.get(task_id) == at_ms:
                del self._due[task_id]
                come.append(task_id)
        return come

    async def wait(self, now_ms: int) -> None:
        """Return at the next time, or when an earlier one is set."""
        wait_s = (self._heap[0][0] - now_ms) / 1000 if self._heap else None
        try:
            async with asyncio.timeout(wait_s):
                await self._earlier.wait()
        except TimeoutError:
            return
