"""The contract as an AsyncAPI 3.0 document with NATS bindings.

Seen from the system, as AsyncAPI has it: it *receives* requests and seats' answers, and *sends*
events. `x-streams`, `x-consumers`, `x-errors` and `x-seat-failures` say what AsyncAPI has no words
for.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from schemas import version
from schemas.codec import JSON, encode
from schemas.contract import components
from schemas.contract.channels import CHANNELS
from schemas.contract.codes import ERRORS, SEAT_FAILURES
from schemas.contract.endpoints import ALWAYS, DISCOVERY, ENDPOINTS
from schemas.contract.table import Channel, Endpoint
from schemas.errors import HTTP_LIKE, ErrorReply
from subjects import streams

Json = dict[str, Any]

ABOUT = """\
A council of language-model agents that any program can consult over NATS: publish one request,
have a durable acknowledgement, receive one ranked result.

Bodies are JSON; with the header `Content-Type: application/msgpack` request and reply are
MessagePack with the same fields. Requests refuse fields they do not know; ignore those that you do
not know in replies and events, and values that a later minor version adds to an enumeration.
"""
PARAMETERS = {
    "task_id": "the deliberation",
    "status": "completed, failed, timeout or cancelled",
    "queue": "the seat's `queue`, or the council's role; for a heartbeat, the `queue` in `Joined`",
    "role": "the council",
}


def document() -> Json:
    """The whole contract."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Conclave",
            "version": version.VERSION,
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {
            "local": {
                "host": "127.0.0.1:4222",
                "protocol": "nats",
                "description": "`conclave up` listens there; any NATS with JetStream will do",
            }
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": components.messages(), "schemas": components.schemas()},
        "x-errors": {
            code: {"number": HTTP_LIKE[code], "meaning": ERRORS.get(code, "")}
            for code in sorted(HTTP_LIKE)
        },
        "x-seat-failures": dict(SEAT_FAILURES),
        "x-streams": {spec.name: _stream(spec) for spec in streams.streams(0, -1, 1)},
        "x-consumers": {"agent": _consumer(streams.agent_consumer("QUEUE"))},
    }


@cache
def as_json() -> bytes:
    """The document in one line, about a tenth of what a NATS message holds by default."""
    return encode(document())


def identifier(subject: str) -> str:
    """The name of an endpoint's operation and channel."""
    tokens = subject.removeprefix("deliberation.").strip("$.*").lower()
    return tokens.replace(".", "_")


def _channels() -> Json:
    found: Json = {}
    for endpoint in ENDPOINTS:
        name = identifier(endpoint.subject)
        found[name] = _channel(endpoint, [endpoint.request])
        found[f"{name}_reply"] = _inbox(endpoint.subject, [endpoint.reply, ErrorReply])
    for channel in CHANNELS:
        found[channel.name] = _channel(channel, channel.messages)
        if channel.stream:
            found[channel.name]["x-stream"] = channel.stream
    for subject, reply, summary in DISCOVERY:
        name = identifier(subject)
        nothing = {"Nothing": {"$ref": "#/components/messages/Nothing"}}
        found[name] = {"address": subject, "summary": summary, "messages": nothing}
        found[f"{name}_reply"] = _inbox(subject, [reply])
    return found


def _inbox(subject: str, kinds: Sequence[type[Struct]]) -> Json:
    text = f"The inbox that the requester of `{subject}` named as its reply subject."
    return {"address": None, "description": text, "messages": _refs(kinds)}


def _channel(channel: Channel | Endpoint, kinds: Sequence[type[Struct]]) -> Json:
    found: Json = {
        "address": channel.address,
        "summary": channel.summary,
        "messages": _refs(kinds),
    }
    if channel.parameters:
        found["parameters"] = {
            each: {"description": PARAMETERS[each]} for each in channel.parameters
        }
    return found


def _refs(kinds: Sequence[type[Struct]]) -> Json:
    return {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"} for kind in kinds}


def _operations() -> Json:
    found: Json = {identifier(each.subject): _endpoint(each) for each in ENDPOINTS}
    for channel in CHANNELS:
        action = "send" if channel.said_by == "system" else "receive"
        found[channel.name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel.name}"},
            "summary": channel.summary,
            "messages": _picked(channel.name, channel.messages),
        }
    for subject, reply, summary in DISCOVERY:
        found[identifier(subject)] = _answering(identifier(subject), summary, [reply])
    return found


def _endpoint(endpoint: Endpoint) -> Json:
    name = identifier(endpoint.subject)
    answering = _answering(name, endpoint.summary, [endpoint.reply, ErrorReply])
    answering["messages"] = _picked(name, [endpoint.request])
    if endpoint.shared:
        answering["bindings"] = {"nats": {"queue": endpoint.service, "bindingVersion": "0.1.0"}}
    answering["x-errors"] = sorted((*endpoint.errors, *ALWAYS))
    return answering


def _answering(name: str, summary: str, replies: Sequence[type[Struct]]) -> Json:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": summary,
        "reply": {
            "channel": {"$ref": f"#/channels/{name}_reply"},
            "messages": _picked(f"{name}_reply", replies),
        },
    }


def _picked(channel: str, kinds: Sequence[type[Struct]]) -> list[Json]:
    return [{"$ref": f"#/channels/{channel}/messages/{kind.__name__}"} for kind in kinds]


def _stream(spec: streams.StreamSpec) -> Json:
    found: Json = {
        "description": spec.description,
        "subjects": spec.subjects,
        "messages_per_subject": 1 if spec.last_only else "all",
    }
    if spec.republish is not None:
        found["republish"] = msgspec.to_builtins(spec.republish)
    return found


def _consumer(spec: streams.ConsumerSpec) -> Json:
    return {
        "description": "pull consumer of one queue, made by whoever serves it first, shared by all",
        "stream": spec.stream,
        "durable": spec.durable,
        "filters": spec.filters,
        "ack_policy": "explicit",
        "ack_wait_s": spec.ack_wait_s,
        "max_deliver": spec.max_deliver,
        "max_ack_pending": spec.max_ack_pending,
    }
