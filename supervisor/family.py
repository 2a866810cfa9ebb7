"""The state of a supervisor: its children, each somewhere in its life, and what it is up to.

A child's life:

    DUE ──Start──▶ STARTING ──ChildReady──▶ READY ──exit──▶ WAITING ──RestartDue──▶ DUE
                       └──────── ChildHung ────┴──▶ KILLING ──exit──▶ WAITING
    CONDEMNED ──Stop──▶ STOPPING ──exit──▶ OVER, or DUE if it is to come `again`
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from supervisor.intensity import Intensity
from supervisor.spec import ChildSpec


class Phase(Enum):
    """Where a child is in its life."""

    DUE = auto()
    STARTING = auto()
    READY = auto()
    WAITING = auto()
    KILLING = auto()
    CONDEMNED = auto()
    STOPPING = auto()
    OVER = auto()


RUNNING: Final = (Phase.STARTING, Phase.READY)
LEAVING: Final = (Phase.KILLING, Phase.CONDEMNED, Phase.STOPPING)


class Child(Struct, frozen=True, kw_only=True):
    """One child's state. `restarts` are the times of those that may still count."""

    spec: ChildSpec
    phase: Phase = Phase.DUE
    again: bool = False
    restarts: tuple[float, ...] = ()
    failed_starts: int = 0
    outside_faults: int = 0


class Rules(Struct, frozen=True, kw_only=True):
    """What holds for all children; every child has an intensity of its own."""

    strategy: Literal["one_for_one", "rest_for_one"] = "one_for_one"
    intensity: Intensity = Intensity()
    backoff_s: float = 0.25
    backoff_limit_s: float = 30.0
    stop_timeout_s: float = 10.0
    shortest_stop_s: float = 1.0


class Family(Struct, frozen=True, kw_only=True):
    """The whole state: children in starting order; once `stop_by` is set, all of them go."""

    rules: Rules
    children: tuple[Child, ...]
    stop_by: float | None = None
    exit_code: int = 0

    def __getitem__(self, child_id: str) -> Child:
        return next(child for child in self.children if child.spec.id == child_id)

    def place(self, child: Child) -> int:
        """Return a child's place in the starting order."""
        return [one.spec.id for one in self.children].index(child.spec.id)

    def put(self, child: Child) -> "Family":
        """Return the family with this state of a child instead of its former one."""
        children = (child if one.spec.id == child.spec.id else one for one in self.children)
        return replace(self, children=tuple(children))

    @property
    def ready(self) -> bool:
        """Every child that shall run is there."""
        return all(child.phase in (Phase.READY, Phase.OVER) for child in self.children)


def family(specs: Iterable[ChildSpec], rules: Rules) -> Family:
    """Return the state before anything is started."""
    return Family(rules=rules, children=tuple(Child(spec=spec) for spec in specs))
