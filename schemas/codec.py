"""Bytes to messages and back, in JSON or MessagePack, with one error for whatever is wrong.

msgspec lets three families of exceptions out: its own, `RecursionError` for deep nesting and
`UnicodeDecodeError` for invalid UTF-8. All become `BadMessage`.
"""

import math
import re
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import Struct

from schemas import version
from schemas.errors import BadMessage
from schemas.types import PATTERNS

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
CONTENT_TYPE: Final = "Content-Type"

T = TypeVar("T")

_json_encoder = msgspec.json.Encoder()
_msgpack_encoder = msgspec.msgpack.Encoder()
_PATH_MARK: Final = " - at `"
_NAMED_FIELD: Final = re.compile(r"(?:unknown|required) field `([^`]{1,64})`")


@cache
def _json_decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cast("Any", kind))


@cache
def _msgpack_decoder(kind: Hashable) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(cast("Any", kind))


def decode(kind: type[T], body: bytes, content_type: str = JSON) -> T:
    """Turn `body` into a message of `kind`, a Struct or a tagged union of Structs.

    Raises BadMessage, naming the path of the offending field, and nothing else.
    """
    if content_type == JSON:
        decoder: Any = _json_decoder(cast("Hashable", kind))
    elif content_type == MSGPACK:
        decoder = _msgpack_decoder(cast("Hashable", kind))
    else:
        raise BadMessage(f"Content-Type is neither {JSON} nor {MSGPACK}")
    if not body:
        raise BadMessage("the message is empty")
    try:
        message: T = decoder.decode(body)
        if content_type == MSGPACK:
            _check_is_json(message, "$")
    except msgspec.MsgspecError as error:
        raise _bad_message(str(error)) from None
    except UnicodeDecodeError:
        raise BadMessage("text is not valid UTF-8") from None
    except RecursionError:
        raise BadMessage("nested too deeply") from None
    return message


def _check_is_json(value: Any, path: str) -> None:
    """Raise BadMessage for what only MessagePack can hold: it could not be passed on as JSON."""
    match value:
        case Struct():
            for name in value.__struct_fields__:
                _check_is_json(getattr(value, name), f"{path}.{name}")
        case dict():
            for key, each in value.items():
                if not isinstance(key, str):
                    raise BadMessage("a key is no text", path)
                _check_is_json(each, f"{path}.{key}")
        case list() | tuple():
            for place, each in enumerate(value):
                _check_is_json(each, f"{path}[{place}]")
        case None | bool() | int() | str():
            pass
        case float() if math.isfinite(value):
            pass
        case _:
            raise BadMessage("JSON has no such value", path)


def read(kind: type[T], body: bytes, headers: Mapping[str, str]) -> T:
    """Decode a message by what its headers say of it: its version and its format.

    Raises BadMessage, as UnsupportedVersion for a major version that is not ours.
    """
    version.check(headers)
    return decode(kind, body, headers.get(CONTENT_TYPE, JSON))


def _bad_message(text: str) -> BadMessage:
    text, _, path = text.partition(_PATH_MARK)
    before, regex, pattern = text.partition(" matching regex ")
    if regex:
        text = f"{before}: {PATTERNS.get(pattern, pattern)}"
    path = path.rstrip("`").rpartition("`")[2] or "$"  # it may say: key` in `$.metadata
    field = _NAMED_FIELD.search(text)
    return BadMessage(text, f"{path}.{field[1]}" if field else path)


def encode(message: Any, content_type: str = JSON) -> bytes:
    """Turn a message into bytes; any other `content_type` than MessagePack means JSON."""
    if content_type == MSGPACK:
        return _msgpack_encoder.encode(message)
    return _json_encoder.encode(message)
