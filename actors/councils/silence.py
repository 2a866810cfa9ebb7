"""Silence: foreign seats that time and again let a deliberation run into its deadline.

A heartbeat says that a program runs, not that it answers. So each outcome tells of the seats that
were waited for in vain, and who was so three times in a row loses the seat. Pure but for its own
memory, which begins anew with its registry.
"""

from collections import Counter
from typing import Final

from msgspec import Struct

from schemas.deliberation import Status
from schemas.types import Name

PATIENCE: Final = 3
"""Deliberations in a row that a silent seat may spoil."""


class _Code(Struct, frozen=True):
    seat: Name
    code: str = ""


class Waited(Struct, frozen=True):
    """The part of an outcome that tells for whom it waited."""

    role: Name
    status: Status
    seats: tuple[Name, ...] = ()
    failures: tuple[_Code, ...] = ()


class Silences:
    """How often in a row each seat of a council was waited for until the end."""

    def __init__(self) -> None:
        self._in_vain: Counter[tuple[str, str]] = Counter()

    def heard(self, outcome: Waited) -> tuple[str, ...]:
        """Take note of an outcome; return the seats whose patience is used up."""
        silent = {each.seat for each in outcome.failures if each.code == "timeout"}
        for seat in outcome.seats:
            if seat in silent:
                self._in_vain[outcome.role, seat] += 1
            else:
                self._in_vain.pop((outcome.role, seat), None)
        return tuple(seat for seat in silent if self._in_vain[outcome.role, seat] >= PATIENCE)

    def forget(self, role: str, seat: str) -> None:
        """The seat is given up, or taken anew."""
        self._in_vain.pop((role, seat), None)
