"""Durability profiles: what an acknowledgement is worth, under three names.

    profile   copies  written through   a killed process   a power failure      a lost disk
    fast      1       every 10 s        costs nothing      up to the last 10 s  everything
    safe      1       before each ack   costs nothing      costs nothing        everything
    cluster   3       before each ack   costs nothing      costs nothing        costs nothing

A profile sets `retention.replicas` and `server.sync_interval`, below whatever file, environment
or flags say of them. Copies are made by JetStream; the sync interval of a server that is not ours
stands in its own configuration (deploy/nats/).

`cluster` writes through because copies alone are not enough: Jepsen's report on NATS 2.12.1
(December 2025) lost 131,418 of 930,005 acknowledged writes of a five-server stream in a
coordinated power failure with the default `sync_interval` of two minutes (nats-server #7564), and
saw one crashed machine plus a partition lose acknowledged writes for good (#7567). What no profile
helps against was open there as well: bit flips in the files of a minority of servers (#7549,
#7556).
"""

from typing import Any, Final

from msgspec import Struct

from actors.settings import Durability


class Profile(Struct, frozen=True):
    """Copies of each message, and nats-server's `sync_interval`."""

    replicas: int
    sync_interval: str


PROFILES: Final[dict[Durability, Profile]] = {
    "fast": Profile(replicas=1, sync_interval="10s"),
    "safe": Profile(replicas=1, sync_interval="always"),
    "cluster": Profile(replicas=3, sync_interval="always"),
}


def layer(durability: Durability) -> dict[str, Any]:
    """Return what a profile sets, as a layer of the configuration."""
    profile = PROFILES[durability]
    return {
        "retention": {"replicas": profile.replicas},
        "server": {"sync_interval": profile.sync_interval},
    }
