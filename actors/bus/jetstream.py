"""JetStream's own messages: requests as it documents them, replies decoded and judged.

Spoken directly rather than through nats-py's context: that has no batched direct get, its
`fetch` waits on statuses of earlier requests, and its ordered consumer is not reset after
missed heartbeats (nats.py issues 933, 510).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from actors.bus import Conflict, Headers, Record, Stored, Unavailable
from subjects.streams import DUPLICATE_WINDOW_S, ConsumerSpec, StreamSpec, is_ours

EXPECTED_LAST = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_LAST_FILTER = "Nats-Expected-Last-Subject-Sequence-Subject"
MESSAGE_ID = "Nats-Msg-Id"
PENDING = "Nats-Num-Pending"
UP_TO = "Nats-UpTo-Sequence"

_SECOND = 1_000_000_000
_WRONG_LAST_SEQUENCE = (10071, 10164)
_STREAM_NAME_IN_USE = 10058
_CONSUMER_NOT_FOUND = 10014


class ApiError(Struct, frozen=True):
    """An error as JetStream reports it."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class PubAck(Struct, frozen=True):
    """The stream's receipt for one message."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


class Place(Struct, frozen=True):
    """How far a consumer has come: so many deliveries, and up to that sequence of its stream."""

    consumer_seq: int = 0
    stream_seq: int = 0


class ApiReply(Struct, frozen=True):
    """What matters of any other JetStream reply."""

    error: ApiError | None = None
    name: str = ""
    num_pending: int = 0
    delivered: Place = Place()
    state: dict[str, Any] = {}
    ack_floor: Place = Place()


class _Consumer(Struct, frozen=True):
    name: str
    num_waiting: int = 0
    num_redelivered: int = 0


class Consumers(Struct, frozen=True):
    """A page of a stream's consumers."""

    total: int = 0
    consumers: tuple[_Consumer, ...] = ()
    error: ApiError | None = None

    @property
    def deserted(self) -> list[str]:
        """Those of ours with messages that were delivered more than once, and nobody who pulls."""
        return [
            each.name
            for each in self.consumers
            if each.num_redelivered > 0 and each.num_waiting == 0 and is_ours(each.name)
        ]


PULL_NOTHING = b'{"batch": 1, "no_wait": true, "max_bytes": 1}'
"""A pull request that no message fits into."""

_consumers = msgspec.json.Decoder(Consumers)
_pub_ack = msgspec.json.Decoder(PubAck)
_api_reply = msgspec.json.Decoder(ApiReply)
encode = msgspec.json.Encoder().encode


def receipt(body: bytes) -> Stored:
    """Turn a publish acknowledgement into `Stored`. Raises Conflict, Unavailable."""
    try:
        ack = _pub_ack.decode(body)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"not a stream's receipt: {error}") from None
    if ack.error is not None:
        if ack.error.err_code in _WRONG_LAST_SEQUENCE:
            raise Conflict(ack.error.description)
        raise Unavailable(ack.error.description)
    return Stored(ack.seq, ack.duplicate)


def reply(body: bytes) -> ApiReply:
    """Decode an API reply. Raises Unavailable with JetStream's own words."""
    answer = _api_reply.decode(body)
    if answer.error is not None:
        raise Unavailable(f"{answer.error.description} ({answer.error.err_code})")
    return answer


def consumers(body: bytes) -> Consumers:
    """Decode a page of consumers. Raises Unavailable with JetStream's own words."""
    page = _consumers.decode(body)
    if page.error is not None:
        raise Unavailable(f"{page.error.description} ({page.error.err_code})")
    return page


def name_in_use(body: bytes) -> bool:
    """Whether a create was refused because the stream exists with another configuration."""
    error = _api_reply.decode(body).error
    return error is not None and error.err_code == _STREAM_NAME_IN_USE


def no_consumer(body: bytes) -> bool:
    """Whether a call was refused because there is no such consumer."""
    error = _api_reply.decode(body).error
    return error is not None and error.err_code == _CONSUMER_NOT_FOUND


def stream_config(spec: StreamSpec) -> dict[str, Any]:
    """The stream as `$JS.API.STREAM.CREATE|UPDATE` wants it.

    `discard: new` refuses what does not fit instead of dropping what was accepted.
    """
    config: dict[str, Any] = {
        "name": spec.name,
        "description": spec.description,
        "subjects": spec.subjects,
        "retention": "limits",
        "storage": "file",
        "discard": "new" if not spec.last_only else "old",
        "max_age": int(spec.max_age_s * _SECOND),
        "max_bytes": spec.max_bytes,
        "max_msgs": -1,
        "max_consumers": -1,
        "max_msgs_per_subject": 1 if spec.last_only else -1,
        "num_replicas": spec.replicas,
        "duplicate_window": int(DUPLICATE_WINDOW_S * _SECOND),
        "allow_direct": True,
    }
    if spec.republish is not None:
        config["republish"] = {"src": spec.republish.source, "dest": spec.republish.destination}
    return config


def durable_config(spec: ConsumerSpec) -> dict[str, Any]:
    """A durable pull consumer's configuration."""
    backoff = {"backoff": [int(wait_s * _SECOND) for wait_s in spec.backoff_s]}
    start: dict[str, Any] = {"deliver_policy": "all"}
    if spec.start_after:
        start = {"deliver_policy": "by_start_sequence", "opt_start_seq": spec.start_after + 1}
    return {
        "durable_name": spec.durable,
        "name": spec.durable,
        "description": spec.description,
        **start,
        "ack_policy": "explicit",
        "ack_wait": int(spec.ack_wait_s * _SECOND),
        "max_deliver": spec.max_deliver,
        "max_ack_pending": spec.max_ack_pending,
        "max_waiting": 512,
        "filter_subjects": spec.filters,
        "replay_policy": "instant",
        **(backoff if spec.backoff_s else {}),
    }


def follower_config(
    name: str, filters: Sequence[str], *, after: int, since_ms: int
) -> dict[str, Any]:
    """A short-lived pull consumer without acknowledgements, held in memory.

    It starts behind sequence `after`, or at `since_ms` when nothing was read yet.
    """
    start: dict[str, Any] = {"deliver_policy": "by_start_sequence", "opt_start_seq": after + 1}
    if after == 0:
        stamp = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
        start = {"deliver_policy": "by_start_time", "opt_start_time": stamp}
    return {
        "name": name,
        "ack_policy": "none",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": 30 * _SECOND,
        "filter_subjects": list(filters),
        "replay_policy": "instant",
        **start,
    }


def direct_record(headers: Headers, body: bytes) -> Record:
    """A message read by direct get, whose place stands in its headers."""
    return Record(
        subject=headers["Nats-Subject"],
        body=body,
        headers=headers,
        sequence=int(headers["Nats-Sequence"]),
        stored_ms=_epoch_ms(headers["Nats-Time-Stamp"]),
    )


def _epoch_ms(stamp: str) -> int:
    whole, _, rest = stamp.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return int(seconds) * 1000 + int((rest + "000")[:3])


_NUMBERS_IN_ACK = {9: slice(4, 9), 11: slice(6, 11), 12: slice(6, 11)}
"""Where the numbers stand, by the count of tokens: the older form, then those with a domain."""


class AckTokens(Struct, frozen=True):
    """What the reply subject of a consumer's message tells (NATS ADR-15)."""

    attempt: int
    stream_sequence: int
    consumer_sequence: int
    stored_ms: int
    pending: int


def ack_tokens(subject: str) -> AckTokens | None:
    """Parse `$JS.ACK.…`, with or without domain and account; None for another subject."""
    tokens = subject.split(".")
    numbers = _NUMBERS_IN_ACK.get(len(tokens))
    if numbers is None or tokens[:2] != ["$JS", "ACK"]:
        return None
    attempt, stream, consumer, stamp, pending = (int(token) for token in tokens[numbers])
    return AckTokens(attempt, stream, consumer, stamp // 1_000_000, pending)
