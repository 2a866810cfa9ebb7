"""How much an agent can do at a time, and waiting for room."""

import asyncio
from types import TracebackType
from typing import Self


class Slots:
    """A number of places. Entering waits for one; `vacant` waits without taking it."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken = 0
        self._freed = asyncio.Event()

    @property
    def taken(self) -> int:
        """Places in use."""
        return self._taken

    @property
    def free(self) -> int:
        """Places that could be taken now."""
        return self.total - self._taken

    async def vacant(self) -> None:
        """Return when a place is free; somebody else may take it."""
        while self.free <= 0:
            self._freed.clear()
            await self._freed.wait()

    async def __aenter__(self) -> Self:
        await self.vacant()
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
