"""One row of the fault table as data."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from tests.faults.scene import Scene, Stage, supervised

Fault = Callable[[Scene], Awaitable[None]]


def always() -> str:
    """Nothing is missing."""
    return ""


class Row(Struct, frozen=True, kw_only=True):
    """A fault: how it is called, how it is injected once and healed, on which stage.

    `weight` is how often a recorded campaign injects it, for each hundred kills.
    `missing` says what this machine lacks for it, in words; empty when it can be run.
    """

    id: str
    fault: str
    inject: Fault
    stage: Stage = supervised
    weight: float = 1.0
    missing: Callable[[], str] = always
    slow: bool = False
    """It needs the engine, or minutes."""
