"""Exit codes and the one line that tells an error.

0    done
1    refused (a typed error), or the deliberation FAILED or was CANCELLED
2    the command line or the configuration is wrong; trying again cannot help
3    nobody answered in time: NATS not reachable, no such actor, or the deliberation's TIMEOUT
70   the supervisor gave up: children kept failing
130  interrupted by Ctrl-C
"""

import sys
from typing import Final

from actors.bus import BusError, TooLarge
from actors.engines.models import ModelMissing
from actors.guests.openai import OpenAIMissing
from schemas.deliberation import Status
from schemas.errors import Refused
from subjects.errors import InvalidSubject
from supervisor.config import ConfigError
from supervisor.contexts import ContextError
from supervisor.errors import GaveUp, SupervisionError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
ESCALATED: Final = 70

EXPECTED = (
    Refused,
    BusError,
    ContextError,
    ConfigError,
    SupervisionError,
    InvalidSubject,
    ModelMissing,
    OpenAIMissing,
)
"""What a command may raise at its user; anything else is a defect and shows its traceback."""

_BY_STATUS: dict[Status, int] = {"FAILED": FAILED, "CANCELLED": FAILED, "TIMEOUT": UNREACHABLE}


def exit_code_of(error: Exception) -> int:
    """Return the exit code for one of the EXPECTED errors."""
    if isinstance(error, Refused | TooLarge):
        return FAILED
    if isinstance(error, BusError):
        return UNREACHABLE
    if isinstance(error, GaveUp):
        return error.code
    if isinstance(error, SupervisionError):
        return FAILED
    return USAGE


def exit_code_for(status: Status) -> int:
    """Return the exit code for a deliberation that was waited for."""
    return _BY_STATUS.get(status, OK)


def one_line(error: Exception) -> str:
    """Return the error as `code: message (at path)`, whatever line breaks its text has."""
    if isinstance(error, Refused):
        where = f" (at {error.path})" if error.path not in ("", "$") else ""
        text = f"{error.code}: {error.message}{where}"
        if error.retry_after_ms is not None:
            text += f"; there may be room in {error.retry_after_ms / 1000:.1f} s"
    elif isinstance(error, TooLarge):
        text = f"too_large: {error}"
    elif isinstance(error, BusError):
        text = f"unavailable: {error}"
    else:
        text = str(error)
    return " ".join(text.split())


def say(text: str) -> None:
    """Write a line for people on stderr; stdout belongs to the answer."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the one way to stderr
