"""A reply as it is sent: body and headers, in the format of the request that it answers."""

from typing import Any, Final

from actors.bus import Headers
from schemas.codec import CONTENT_TYPE, JSON, MSGPACK, decode, encode
from schemas.errors import (
    ERROR_CODE_HEADER,
    ERROR_HEADER,
    RETRY_AFTER_HEADER,
    ErrorReply,
    Refused,
)
from schemas.version import SCHEMA_HEADERS

Reply = Any
"""A Struct to be encoded, or JSON bytes to be sent as they are."""

_HEADERS: Final = {JSON: SCHEMA_HEADERS, MSGPACK: {**SCHEMA_HEADERS, CONTENT_TYPE: MSGPACK}}


def reply(request: Headers, said: Reply) -> tuple[bytes, Headers]:
    """What answers a request with these headers, once it was understood."""
    content_type = request.get(CONTENT_TYPE, JSON)
    if not isinstance(said, bytes):
        body = encode(said, content_type)
    elif content_type == MSGPACK:
        body = encode(decode(dict, said), MSGPACK)
    else:
        body = said
    return body, _HEADERS[content_type]


def refusal(request: Headers, refused: Refused) -> tuple[bytes, Headers]:
    """What turns it down; in JSON when it asked for a format that is not spoken."""
    content_type = request.get(CONTENT_TYPE, JSON)
    headers = error_headers(refused.message, refused.number)
    headers |= _HEADERS.get(content_type, SCHEMA_HEADERS)
    if refused.retry_after_ms is not None:
        headers[RETRY_AFTER_HEADER] = str(refused.retry_after_ms)
    return encode(ErrorReply(error=refused.body), content_type), headers


def error_headers(text: str, number: int) -> dict[str, str]:
    """Return the two headers of an error reply (NATS ADR-32), the text on one short line."""
    return {ERROR_HEADER: " ".join(text.split())[:200], ERROR_CODE_HEADER: str(number)}
