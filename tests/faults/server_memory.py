"""What nats-server holds for good, by the memory profile of its own Go runtime.

What it has in use goes up and down by half within a minute, as blocks of the stream are cached
and dropped, and what is resident follows in steps: a growth of one per cent an hour would take
many hours to be told from that. The profile says who allocated what is in use, so the cached
blocks are left out; the rest (connections, subscriptions, consumers, the index of the stream,
de-duplication) is what can grow without end.
"""

import contextlib
import json
import math
import os
import re
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from unittest import mock

from supervisor import nats_server

RATE = 512
"""Bytes between two allocations that the profile notes. At 1 a server's start takes seconds."""

CACHES = ("getMsgBlockBuf", "indexCacheBuf")
"""Functions of nats-server 2.15 that make a cached block, and the index of its messages."""

PAGE = "debug/pprof/heap?gc=1&debug=1"
RECORD = re.compile(r"(\d+): (\d+) \[")
HEADER = re.compile(r"heap profile: .* @ heap/(\d+)")


@contextlib.contextmanager
def profiled() -> Iterator[str]:
    """Let nats-servers that are started meanwhile tell their profile; yields where, as a url."""
    with nats_server.bound(nats_server.LOOPBACK, 0) as free:
        port = free
    plain = nats_server.configuration

    def configuration(*arguments: object) -> str:
        return json.dumps({**json.loads(plain(*arguments)), "prof_port": port})  # type: ignore[arg-type]

    rate = {"GODEBUG": f"memprofilerate={RATE}"}
    with (
        mock.patch.object(nats_server, "configuration", configuration),
        mock.patch.dict(os.environ, rate),
    ):
        yield f"http://{nats_server.LOOPBACK}:{port}/{PAGE}"


def own_mib(url: str) -> float | None:
    """What it holds beside its caches after a collection of garbage; None while it is away."""
    try:
        with urllib.request.urlopen(url, timeout=5.0) as reply:  # noqa: S310
            return own_bytes(reply.read().decode()) / 2**20
    except (OSError, HTTPException):
        return None


def own_bytes(profile: str) -> float:
    """Bytes in use of every record that is no cache's.

    The runtime notes one allocation in `rate` bytes; what that stands for is worked out from the
    mean size of a record's objects, as `go tool pprof` does. Raises ValueError for no profile.
    """
    header, *records = re.split(r"\n+(?=\d+: )", profile)
    if (told := HEADER.match(header)) is None:
        raise ValueError("this is no memory profile of a Go program")
    rate = int(told[1]) / 2
    found = 0.0
    for record in records:
        counted = RECORD.match(record)
        if counted is None or any(name in record for name in CACHES):
            continue
        objects, size = map(int, counted.groups())
        if objects:
            found += size / -math.expm1(-size / objects / rate)
    return found
