"""Who still has the floor: turns are cut short when their round or their deliberation is past."""

import asyncio
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

KEPT = 10_000
"""Tasks remembered as past; a turn of an older one ends at its deadline at the latest."""

OVER = sys.maxsize
"""All rounds of a deliberation that is over are past."""


class Floor:
    """The turns being taken, which rounds of which tasks are past, and which are said to be."""

    def __init__(self) -> None:
        self._past: OrderedDict[str, int] = OrderedDict()
        self._announced: OrderedDict[str, int] = OrderedDict()
        self._speaking: defaultdict[str, dict[asyncio.Future[Any], int]] = defaultdict(dict)

    def past(self, task_id: str, round_number: int) -> bool:
        """Whether nobody waits for this turn any more."""
        return round_number < self._past.get(task_id, 0)

    def doubted(self, task_id: str, round_number: int) -> bool:
        """Whether a later round is said to have begun."""
        return round_number < self._announced.get(task_id, 0)

    def announce(self, task_id: str, round_number: int) -> bool:
        """Note which round is said to have begun; tell whether anybody speaks in one before it."""
        _raise(self._announced, task_id, round_number)
        return any(each < round_number for each in self._speaking.get(task_id, {}).values())

    def close(self, task_id: str, before: int = OVER) -> None:
        """Let the rounds before `before` be past, and cut short who still speaks in one."""
        _raise(self._past, task_id, before)
        for turn, round_number in self._speaking.get(task_id, {}).items():
            if round_number < before:
                turn.cancel()

    async def give(self, task_id: str, round_number: int, turn: Coroutine[Any, Any, T]) -> T | None:
        """Run a turn to its end and return what came of it; None when it was cut short as past."""
        speaking = asyncio.ensure_future(turn)
        self._speaking[task_id][speaking] = round_number
        try:
            return await speaking
        except asyncio.CancelledError:
            if not self.past(task_id, round_number):
                raise
            return None
        finally:
            del self._speaking[task_id][speaking]
            if not self._speaking[task_id]:
                del self._speaking[task_id]


def _raise(rounds: OrderedDict[str, int], task_id: str, to: int) -> None:
    rounds[task_id] = max(to, rounds.get(task_id, 0))
    rounds.move_to_end(task_id)
    if len(rounds) > KEPT:
        rounds.popitem(last=False)
