"""Children as data: what is started, how it is known to live, when it is restarted.

In OTP's words: `permanent` children are always restarted, `transient` ones only when they fail,
`temporary` ones never.
"""

import re
import signal
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from supervisor.errors import DuplicateChild, InvalidSpec, NoChildren

Restart = Literal["permanent", "transient", "temporary"]

_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class ServerAnswers(Struct, frozen=True, tag="server"):
    """A nats-server says PONG on a new connection, and `healthy` on its monitoring port."""

    host: str
    port: int
    http_port: int


class ServiceAnswers(Struct, frozen=True, tag="service"):
    """An actor answers `$SRV.PING.<service>.<instance>`."""

    service: str
    instance: str


class PoolAnswers(Struct, frozen=True, tag="pool"):
    """So many agents of a pool answer `$SRV.PING.<service>`, wherever they run."""

    service: str
    pool: str
    replicas: int


Probe = ServerAnswers | ServiceAnswers | PoolAnswers


class ChildSpec(Struct, frozen=True, kw_only=True):
    """One child: an operating-system process with everything it starts.

    Without `ready` it counts as ready once started; without `health` it is never called hung.
    A `gate` lets the children after it start only while it is ready. `env` is added to the
    supervisor's own. `dies_with_parent` is for programs that do not watch their stdin.
    Exit codes in `outside_faults` say that something it needs is away, NATS above all: it is
    tried again after growing delays, for ever. Those in `hopeless` say that no restart can help:
    the supervisor gives up at once.
    """

    id: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = {}
    restart: Restart = "permanent"
    ready: Probe | None = None
    health: Probe | None = None
    gate: bool = False
    start_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    stop_signal: int = signal.SIGTERM
    dies_with_parent: bool = False
    outside_faults: tuple[int, ...] = ()
    hopeless: tuple[int, ...] = ()


def validated(specs: Sequence[ChildSpec]) -> tuple[ChildSpec, ...]:
    """Return the specs if they can work. Raises InvalidSpec, one subclass or field per cause."""
    if not specs:
        raise NoChildren
    seen: set[str] = set()
    for spec in specs:
        if _ID.fullmatch(spec.id) is None:
            raise InvalidSpec(spec.id, "id", "is not a letter, then letters, digits, _ and -")
        if spec.id in seen:
            raise DuplicateChild(spec.id)
        seen.add(spec.id)
        if not spec.argv or not spec.argv[0]:
            raise InvalidSpec(spec.id, "argv", "names no program")
        if spec.start_timeout_s <= 0:
            raise InvalidSpec(spec.id, "start_timeout_s", "is not above 0")
        if spec.stop_timeout_s <= 0:
            raise InvalidSpec(spec.id, "stop_timeout_s", "is not above 0")
    return tuple(specs)
