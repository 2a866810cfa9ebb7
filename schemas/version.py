"""The version of what is said, and whether a message of another version can be understood.

A newer minor version only adds: fields and kinds of events that an older reader ignores. A newer
major version means something else by the same words, so nothing is guessed. See
`deploy/contract/` for the contract and `schemas/contract/compatibility.py` for what may change.
"""

import re
from collections.abc import Mapping
from typing import Final

from schemas.errors import BadMessage

MAJOR: Final = 1
MINOR: Final = 0
VERSION: Final = f"{MAJOR}.{MINOR}"

SCHEMA: Final = "Conclave-Schema"
"""The header that says which version a message is of; without it, the reader's own."""

SCHEMA_HEADERS: Final[Mapping[str, str]] = {SCHEMA: VERSION}
"""On every reply, stored message and event of ours. Shared, and never changed."""

_SUPPORTED = re.compile(rf"{MAJOR}\.\d{{1,9}}")


class UnsupportedVersion(BadMessage):
    """A message of a version that means something else by the same words."""

    def __init__(self, stated: str) -> None:
        super().__init__(f"{SCHEMA} {stated[:32]!r} is not supported; supported: {MAJOR}.x")
        self.code = "unsupported_version"


def check(headers: Mapping[str, str]) -> None:
    """Raise UnsupportedVersion unless the message says nothing or a version we understand."""
    stated = headers.get(SCHEMA)
    if stated is not None and stated != VERSION and _SUPPORTED.fullmatch(stated) is None:
        raise UnsupportedVersion(stated)
