"""What a supervisor hears of, and what it may do about it. `supervisor/policy.py` decides."""

from msgspec import Struct


class Begin(Struct, frozen=True):
    """Start everything."""


class ChildReady(Struct, frozen=True):
    """A started child answered for the first time."""

    child: str


class ChildExited(Struct, frozen=True):
    """A child's process is gone, whoever ended it; `code` is minus the number of a signal."""

    child: str
    code: int
    last_words: str = ""


class ChildHung(Struct, frozen=True):
    """A child lives but does not answer, or did not get ready in time."""

    child: str


class RestartDue(Struct, frozen=True):
    """A delay that `Wake` asked for is over."""

    child: str


class StopRequested(Struct, frozen=True):
    """Somebody wants the system to end; asked for again, a little later: at once."""


Event = Begin | ChildReady | ChildExited | ChildHung | RestartDue | StopRequested


class Start(Struct, frozen=True):
    """Start the process of a child; none of it is running."""

    child: str


class Wake(Struct, frozen=True):
    """Say `RestartDue` after a delay."""

    child: str
    delay_s: float


class Stop(Struct, frozen=True):
    """End a child's process in good order, by force after the time-out."""

    child: str
    timeout_s: float


class Kill(Struct, frozen=True):
    """End a child's process by force, now."""

    child: str


class Escalate(Struct, frozen=True):
    """Tell why the supervisor gives up; stopping the children follows."""

    reason: str


class Finish(Struct, frozen=True):
    """Every child is over: leave."""

    exit_code: int


Action = Start | Wake | Stop | Kill | Escalate | Finish
Actions = tuple[Action, ...]
