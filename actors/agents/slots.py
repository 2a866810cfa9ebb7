"""How much an agent can do at a time, and how much it may therefore pull."""

import asyncio
from types import TracebackType
from typing import Self


class Slots:
    """A number of places. Entering waits for one that is not taken.

    What is pulled, or asked for, is claimed before it enters: `vacant` waits until not all are.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken = 0
        self._claimed = 0
        self._freed = asyncio.Event()

    @property
    def taken(self) -> int:
        """Places in use."""
        return self._taken

    @property
    def free(self) -> int:
        """Places that could be taken now."""
        return self.total - self._taken

    @property
    def unclaimed(self) -> int:
        """Places for which nothing is pulled yet."""
        return max(self.total - self._claimed, 0)

    def claim(self, count: int) -> None:
        """Something for so many places is asked for or was pulled; there may be too much."""
        self._claimed += count

    def release(self, count: int) -> None:
        """It is done, or did not come."""
        self._claimed -= count
        self._freed.set()

    async def vacant(self) -> None:
        """Return when a place is unclaimed; somebody else may claim it."""
        while not self.unclaimed:
            await self._freeing()

    async def _freeing(self) -> None:
        self._freed.clear()
        await self._freed.wait()

    async def __aenter__(self) -> Self:
        while self.free <= 0:
            await self._freeing()
        self._taken += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._taken -= 1
        self._freed.set()
