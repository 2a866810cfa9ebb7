"""Requests that are turned down."""

from schemas.contract.examples.example import Example, reply
from schemas.errors import (
    ERROR_CODE_HEADER,
    ERROR_HEADER,
    RETRY_AFTER_HEADER,
    BadMessage,
    ErrorReply,
    Refused,
)
from subjects import names


def _error(refused: Refused, which: str = "") -> Example:
    headers = {ERROR_HEADER: refused.message, ERROR_CODE_HEADER: str(refused.number)}
    if refused.retry_after_ms is not None:
        headers[RETRY_AFTER_HEADER] = str(refused.retry_after_ms)
    return reply(names.REQUEST, ErrorReply(error=refused.body), which, **headers)


EXAMPLES = (
    _error(
        Refused(
            "unknown_role",
            "no council 'SALES'; there are: ARCHITECT, DATA, DEV, DEVOPS, QA",
            "$.role",
        )
    ),
    _error(BadMessage("Object contains unknown field `colour`", "$.colour"), "field"),
    _error(
        Refused("overloaded", "council DEV has 512 open", "$.role", retry_after_ms=750),
        "overloaded",
    ),
)
