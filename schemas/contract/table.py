"""What a line of the tables in `endpoints` and `channels` says.

What the actors say among themselves only (`deliberation.load`, dead letters as they are stored) is
promised to nobody, so it stands in neither.
"""

from typing import Literal

from msgspec import Struct


class Endpoint(Struct, frozen=True):
    """Request and reply over core NATS. `service` is the name in discovery and the queue group."""

    subject: str
    request: type[Struct]
    reply: type[Struct]
    service: str
    summary: str
    errors: tuple[str, ...] = ()
    """Beside those of ALWAYS."""
    parameters: tuple[str, ...] = ()
    """One for each wildcard of `subject`, in order."""
    shared: bool = True
    """Whether one instance replies, or each of them."""

    @property
    def address(self) -> str:
        """The subject with `{parameter}` for each wildcard."""
        return _address(self.subject, self.parameters)


class Channel(Struct, frozen=True, kw_only=True):
    """Messages on a subject without a reply of ours: an event, or something stored."""

    subject: str
    parameters: tuple[str, ...] = ()
    """One for each wildcard of `subject`, in order."""
    messages: tuple[type[Struct], ...]
    said_by: Literal["client", "seat", "system"]
    stream: str = ""
    """Where it is stored; empty for what passes by live."""
    summary: str
    name: str

    @property
    def address(self) -> str:
        """The subject with `{parameter}` for each wildcard."""
        return _address(self.subject, self.parameters)


def _address(subject: str, parameters: tuple[str, ...]) -> str:
    for parameter in parameters:
        subject = subject.replace("*", f"{{{parameter}}}", 1)
    return subject
