"""What commands of the nats CLI send, byte by byte, and what they make of the answers.

After the sources of natscli v0.4.0 (`cli/req_command.go`, `sub_command.go`,
`service_command.go`, `stream_command.go`, `util.go`) and jsm.go v0.4.1 (`manager.go`,
`stream_pager.go`, `consumers.go`, `schemas/micro/v1`).
"""

import json
import os
import time
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tests.clients.nats_wire import Delivered, Wire, new_inbox

TIMEOUT_S = 5.0
"""`--timeout`: how long a command waits for the first reply."""

STALL_S = 0.3
"""Who has not answered so long after the last who did is not waited for (`util.go` doReqAsync)."""


class NoResponders(Exception):
    """`nats` says: No responders are available."""


def req(
    wire: Wire,
    subject: str,
    body: bytes = b"",
    *,
    headers: tuple[str, ...] = (),
    replies: int = 1,
    timeout_s: float = TIMEOUT_S,
) -> list[Delivered]:
    """`nats req SUBJECT BODY -H K:V --replies N --timeout T`.

    Until N replies: the mean time of the replies so far and `--reply-timeout` (300 ms) for the
    next; `--replies 0`: all that come within `--timeout`.
    """
    inbox = wire.inbox()
    subscription = wire.subscribe(inbox)
    lines = tuple(": ".join(part.strip() for part in each.split(":", 1)) for each in headers)
    wire.publish(subject, inbox, body, lines)
    came: list[Delivered] = []
    began, patience, summed = time.monotonic(), timeout_s, 0.0
    while (reply := wire.receive(patience)) is not None:
        if reply.status == "503":
            raise NoResponders(subject)
        came.append(reply)
        if replies and (len(came) == replies or not reply.body):
            break
        took = time.monotonic() - began
        summed += took
        patience = summed / len(came) + STALL_S if replies else timeout_s - took
    wire.unsubscribe(subscription)
    return came


def sub(wire: Wire, subject: str) -> None:
    """`nats sub SUBJECT`: from here on its messages come."""
    wire.subscribe(subject)


Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]+$", min_length=1)]
Version = Annotated[str, Meta(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-|\+|$)")]
Nanoseconds = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class InfoEndpoint(Struct):
    """Part of `info_response.json`."""

    name: Name
    subject: Annotated[str, Meta(min_length=1)]
    queue_group: str = ""
    metadata: dict[str, str] | None = None


class Info(Struct, tag_field="type", tag="io.nats.micro.v1.info_response"):
    """What `nats micro ls` and `info` demand of a reply: `info_response.json`."""

    name: Name
    id: Annotated[str, Meta(min_length=1)]
    version: Version
    description: str
    metadata: dict[str, str] | None = None
    endpoints: list[InfoEndpoint] = []


class StatsEndpoint(Struct):
    """Part of `stats_response.json`."""

    name: Name
    subject: Annotated[str, Meta(min_length=1)]
    num_requests: int
    num_errors: int
    last_error: str
    processing_time: Nanoseconds
    average_processing_time: Nanoseconds
    queue_group: str = ""
    data: Any = None


class Stats(Struct, tag_field="type", tag="io.nats.micro.v1.stats_response"):
    """What `nats micro stats` and `info` demand of a reply: `stats_response.json`."""

    name: Name
    id: Annotated[str, Meta(min_length=1)]
    version: Version
    started: Annotated[datetime, Meta(tz=True)]
    endpoints: list[StatsEndpoint]
    metadata: dict[str, str] | None = None


def micro_ls(wire: Wire) -> list[Info]:
    """`nats micro ls`."""
    return gathered(wire, Info, "$SRV.INFO")


def micro_info(wire: Wire, name: str) -> tuple[Info, Stats]:
    """`nats micro info NAME`: of the instance that answers first."""
    (info,) = gathered(wire, Info, f"$SRV.INFO.{name}", wait_for=1)
    (stats,) = gathered(wire, Stats, f"$SRV.STATS.{name}.{info.id}", wait_for=1)
    return info, stats


def micro_stats(wire: Wire, name: str) -> list[Stats]:
    """`nats micro stats NAME`."""
    return gathered(wire, Stats, f"$SRV.STATS.{name}")


def gathered(wire: Wire, kind: Any, subject: str, wait_for: int = 0) -> Any:
    """The replies of instances: `wait_for` of them, or all until nobody answers any longer."""
    inbox = wire.inbox()
    subscription = wire.subscribe(inbox)
    if wait_for:
        wire.unsubscribe(subscription, str(wait_for))
    wire.publish(subject, inbox, b"{}", ("Accept-Encoding: snappy",))
    came, patience = [], TIMEOUT_S
    end = time.monotonic() + TIMEOUT_S
    while (reply := wire.receive(patience)) is not None:
        if reply.status == "503":
            raise NoResponders(subject)
        assert "Content-Encoding" not in reply.headers
        came.append(msgspec.json.decode(reply.body, type=kind))
        if wait_for and len(came) == wait_for:
            return came
        patience = min(STALL_S, end - time.monotonic())
    wire.unsubscribe(subscription)
    return came


PAGE = 10


def stream_view(wire: Wire, stream: str) -> list[Delivered]:
    """The first page of `nats stream view STREAM`; raises AssertionError when JetStream refuses."""
    info = _api(wire, f"STREAM.INFO.{stream}")
    assert info["config"]["retention"] == "limits"  # others are paged in another way
    inbox = new_inbox()
    subscription = wire.subscribe(inbox)
    name = f"stream_pager_{os.getpid()}{time.time_ns()}"
    config = {
        "description": "JSM Stream Pager",
        "ack_policy": "explicit",
        "ack_wait": 30_000_000_000,
        "deliver_policy": "all",
        "durable_name": name,
        "name": name,
        "filter_subject": ">",
        "replay_policy": "instant",
        "inactive_threshold": 3_600_000_000_000,
        "num_replicas": 1,
        "mem_storage": True,
        "pause_until": "0001-01-01T00:00:00Z",
    }
    creation = {"stream_name": stream, "config": config, "action": ""}
    _api(wire, f"CONSUMER.CREATE.{stream}.{name}.>", creation)
    query = b'{"batch":%d,"no_wait":true}' % PAGE
    wire.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", inbox, query)
    page: list[Delivered] = []
    while len(page) < PAGE and (message := wire.receive(TIMEOUT_S)) is not None:
        if message.status in ("404", "408"):
            break
        page.append(message)
        wire.publish(message.reply, "", b"+ACK")
    wire.unsubscribe(subscription)
    assert _api(wire, f"CONSUMER.DELETE.{stream}.{name}")["success"]
    return page


def _api(wire: Wire, call: str, message: Any = None) -> Any:
    body = b"" if message is None else json.dumps(message, separators=(",", ":")).encode()
    reply = json.loads(wire.request(f"$JS.API.{call}", body).body)
    assert "error" not in reply, reply["error"]
    return reply
