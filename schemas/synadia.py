"""The Synadia Agent Protocol for NATS 0.3: what an agent is asked, and what it says.

An agent is a NATS micro service called `agents`. It is asked with an envelope, or with plain text.
It answers with typed chunks, the first a status `ack`, and an empty message without headers ends
the stream. Paragraphs (§) are those of its `core-protocol.md`. Unknown fields are ignored (§5.6).
"""

import binascii
import re
from base64 import b64decode
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct

from schemas.codec import decode, encode
from schemas.errors import HTTP_LIKE, BadMessage
from schemas.types import Line

SERVICE: Final = "agents"
"""The service's name (§3.1) and the queue group of its endpoints (§3.3)."""

PROTOCOL_VERSION: Final = "0.3"
PROMPT: Final = "prompt"
STATUS: Final = "status"
HEARTBEAT: Final = "hb"

TERMINATOR: Final = b""
INACTIVITY_S: Final = 60.0
"""A stream silent for so long is over (§6.6)."""

_SIZE = re.compile(r"\s*(\d{1,12})\s*(B|KB|MB|GB)\s*", re.IGNORECASE)
_FACTORS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
_STATUS_CODES = frozenset({400, 401, 403, 404, 409, 429, 500})


class Attachment(Struct, frozen=True):
    """A file by name, its bytes in standard base64 (§5.2)."""

    filename: Line
    content: str


class Envelope(Struct, frozen=True, kw_only=True):
    """A request (§5.1). `conclave` is ours: further fields of a `DeliberationRequest`."""

    prompt: Annotated[str, Meta(min_length=1)]
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=64)] = ()
    conclave: dict[str, Any] = {}


class Heartbeat(Struct, frozen=True, kw_only=True):
    """An instance lives (§8.3); also the reply of its `status` endpoint (§8.7)."""

    agent: str
    owner: str
    session: str
    instance_id: str
    ts: str
    interval_s: int


class ErrorContext(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of an error (§9.1)."""

    error: str
    message: str
    path: str = ""
    retry_after_s: float | None = None


class EndpointRecord(Struct, frozen=True, kw_only=True):
    """One endpoint of an agent, as discovery tells it."""

    name: str
    subject: str
    metadata: dict[str, Any] | None = None


class AgentRecord(Struct, frozen=True, kw_only=True):
    """An agent's instance, as discovery tells it (§4.3)."""

    id: str
    endpoints: tuple[EndpointRecord, ...] = ()


class Said(Struct, frozen=True):
    """A `response` chunk: the next piece of the agent's text (§6.3)."""

    text: str


class Asked(Struct, frozen=True):
    """A `query` chunk: the agent wants to know something before it goes on (§7.1)."""

    reply_subject: str
    prompt: str


class _Chunk(Struct, frozen=True):
    type: str
    data: Raw = Raw()


def read_envelope(body: bytes) -> Envelope:
    """Return what is asked, in JSON or as plain text (§5.3). Raises BadMessage."""
    if body.lstrip(b" \t\r\n").startswith(b"{"):
        return decode(Envelope, body)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadMessage("neither a JSON object nor UTF-8 text") from None
    if not text:
        raise BadMessage("the prompt is empty", "$.prompt")
    return Envelope(prompt=text)


def attached_text(attachment: Attachment, path: str) -> str:
    """Return the text of an attached file. Raises BadMessage, naming `path`, if it is none."""
    try:
        return b64decode(attachment.content, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        is_text = isinstance(error, UnicodeDecodeError)
        what = "is no UTF-8 text" if is_text else "is not in standard base64"
        raise BadMessage(f"{attachment.filename!r} {what}", path) from None


def status(token: str) -> bytes:
    """Return a `status` chunk (§6.4); callers ignore tokens that they do not know."""
    return encode({"type": "status", "data": token})


def response(text: str) -> bytes:
    """Return a `response` chunk; callers join the text of all (§6.3)."""
    return encode({"type": "response", "data": text})


def read_chunk(body: bytes) -> Said | Asked | None:
    """Return what a chunk says, or None for one to be passed over (§6.6). Raises BadMessage."""
    chunk = decode(_Chunk, body)
    data = bytes(chunk.data)
    if chunk.type == "response":
        kind: Any = str | Said
        said = decode(kind, data)
        return Said(said) if isinstance(said, str) else said
    return decode(Asked, data) if chunk.type == "query" else None


def prompt_endpoint(agent: AgentRecord) -> EndpointRecord | None:
    """Return where an agent is asked, by the endpoint's name (§2)."""
    return next((each for each in agent.endpoints if each.name == PROMPT), None)


def max_payload(endpoint: EndpointRecord, otherwise: int) -> int:
    """Return how many bytes a request may have (§2.1), `otherwise` if that is not told."""
    told = _SIZE.fullmatch(str((endpoint.metadata or {}).get("max_payload", "")))
    return int(told[1]) * _FACTORS[told[2].upper()] if told is not None else otherwise


def status_code(code: str) -> int:
    """Return the number of the protocol (§9.2) for one of our stable codes."""
    number = 409 if code == "cancelled" else HTTP_LIKE.get(code, 500)
    if number in _STATUS_CODES:
        return number
    return 400 if number < 500 else 500  # noqa: PLR2004 -- whose fault it is
