"""Errors as they cross the wire: two headers and a JSON body with a stable code.

BadMessage     bytes that are no message; carries the path of the offending field
Refused        a well-formed request that is turned down
"""

from msgspec import Struct

ERROR_HEADER = "Nats-Service-Error"
ERROR_CODE_HEADER = "Nats-Service-Error-Code"
RETRY_AFTER_HEADER = "Conclave-Retry-After-Ms"

HTTP_LIKE = {
    "bad_message": 400,
    "bad_request": 400,
    "too_many_agents": 400,
    "unsupported_version": 400,
    "unknown_role": 404,
    "unknown_task": 404,
    "unknown_seat": 404,
    "unknown_letter": 404,
    "already_over": 409,
    "conflict": 409,
    "too_large": 413,
    "overloaded": 429,
    "internal": 500,
    "unavailable": 503,
}
"""The number of each code in `Nats-Service-Error-Code` (NATS ADR-32)."""


class ErrorBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong. `path` points at the field, `$` being the whole message.

    `retry_after_ms` comes with `overloaded`: by then, at the present pace, there is room.
    """

    code: str
    message: str
    path: str = ""
    retry_after_ms: int | None = None


class ErrorReply(Struct, frozen=True, kw_only=True):
    """The body of every error reply."""

    error: ErrorBody


class Refused(Exception):
    """A request is turned down with a stable code, a sentence and the field concerned."""

    def __init__(
        self, code: str, message: str, path: str = "$", retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.retry_after_ms = retry_after_ms

    @property
    def body(self) -> ErrorBody:
        """The error as it is sent."""
        return ErrorBody(
            code=self.code,
            message=self.message[:500],
            path=self.path,
            retry_after_ms=self.retry_after_ms,
        )

    @property
    def number(self) -> int:
        """The number for `Nats-Service-Error-Code`."""
        return HTTP_LIKE[self.code]


class BadMessage(Refused):
    """Bytes do not decode to the message expected. The only thing that decoding raises."""

    def __init__(self, message: str, path: str = "$") -> None:
        super().__init__("bad_message", message, path)
