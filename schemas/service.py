"""Discovery: PING, INFO and STATS replies as NATS tools expect them (ADR-32), and the contract."""

from typing import Any

from msgspec import Struct


class Endpoint(Struct, frozen=True, kw_only=True):
    """One subject that a service answers."""

    name: str
    subject: str
    queue_group: str
    metadata: dict[str, str] = {}


class EndpointStats(Struct, frozen=True, kw_only=True):
    """What an endpoint did since `started`; times in nanoseconds, as ADR-32 has them."""

    name: str
    subject: str
    queue_group: str
    num_requests: int = 0
    num_errors: int = 0
    last_error: str = ""
    processing_time: int = 0
    average_processing_time: int = 0


class PingReply(Struct, frozen=True, kw_only=True):
    """A service instance is there."""

    name: str
    id: str
    version: str
    metadata: dict[str, str]
    type: str = "io.nats.micro.v1.ping_response"


class InfoReply(Struct, frozen=True, kw_only=True):
    """What a service instance offers."""

    name: str
    id: str
    version: str
    metadata: dict[str, str]
    description: str
    endpoints: tuple[Endpoint, ...]
    type: str = "io.nats.micro.v1.info_response"


class StatsReply(Struct, frozen=True, kw_only=True):
    """What a service instance did; `data` holds the actor's own counters."""

    name: str
    id: str
    version: str
    metadata: dict[str, str]
    started: str
    endpoints: tuple[EndpointStats, ...]
    data: dict[str, Any] = {}
    type: str = "io.nats.micro.v1.stats_response"


class ContractQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for the contract; there is nothing to say."""


class Document(Struct, frozen=True, kw_only=True):
    """The contract as an AsyncAPI document, of which these are the parts."""

    asyncapi: str
    info: dict[str, Any]
    channels: dict[str, Any]
    operations: dict[str, Any]
    components: dict[str, Any]
