"""S: what nats-server keeps is deleted, or has no room."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from subjects.streams import DELIBERATIONS, streams
from supervisor.config import EmbeddedServer
from tests.faults.rows.row import Row
from tests.faults.scene import EVERYBODY, Load, Scene, supervised

CONSUMERS_BACK_S = 20.0
DISK_MB = 96
FULL_S = 5.0
"""A store is full so long; requests are refused meanwhile, and tried again by the ledger."""


async def delete_consumers(scene: Scene) -> None:
    """Somebody deletes every consumer; whoever read from one makes it anew."""
    before = await _consumers(scene)

    async def as_before() -> bool:
        now = await _consumers(scene)
        return len(now) >= len(before) and _durable(before) <= now

    async with scene.recovering(CONSUMERS_BACK_S):
        for name in before:
            await _api(scene, f"CONSUMER.DELETE.{DELIBERATIONS}.{name}")
        await scene.until(as_before)
    if len(after := await _consumers(scene)) > len(before):
        scene.problems.append(f"{len(after)} consumers where there were {len(before)}")


async def fill_stream(scene: Scene) -> None:
    """The stream is full: nothing can be stored, not even answers, until there is room again."""
    spec = streams(scene.config.retention.max_age_hours * 3600, -1, 1)[0]
    state = (await _api(scene, f"STREAM.INFO.{DELIBERATIONS}"))["state"]
    await scene.witness.ensure(replace(spec, max_bytes=state["bytes"] + 1), update=True)
    await asyncio.sleep(FULL_S)
    async with scene.recovering():
        await scene.witness.ensure(spec, update=True)
        await scene.until(lambda: _stored_since(scene, state["last_seq"]))


async def fill_disk(scene: Scene) -> None:
    """The disk under the store is full, for a time; nats-server turns JetStream off by itself."""
    ballast = Path(scene.config.server.store_dir) / "ballast"
    fill(ballast)
    await asyncio.sleep(FULL_S)
    async with scene.recovering():
        ballast.unlink(missing_ok=True)
        await scene.back(*EVERYBODY)
        last = await scene.witness.last_sequence(DELIBERATIONS)
        await scene.until(lambda: _stored_since(scene, last))


def fill(ballast: Path) -> None:
    """Take all the room there is on a file system."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(65_536)):
            pass


@contextmanager
def small_file_system() -> Iterator[str]:
    """A file system of a few megabytes in memory."""
    with tempfile.TemporaryDirectory(prefix="conclave-faults-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "conclave", folder]
        subprocess.run(mount, check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


@asynccontextmanager
async def small_disk(load: Load, tag: str) -> AsyncIterator[Scene]:
    """The store lies on a file system of its own."""
    with small_file_system() as folder:
        server = EmbeddedServer(port=0, store_dir=folder)
        async with supervised(load, tag, server=server) as scene:
            yield scene


def _cannot_mount() -> str:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a small file system can be mounted by root on Linux only"
    return ""


async def _stored_since(scene: Scene, sequence: int) -> bool:
    return await scene.witness.last_sequence(DELIBERATIONS) > sequence + 10


async def _consumers(scene: Scene) -> set[str]:
    return set((await _api(scene, f"CONSUMER.NAMES.{DELIBERATIONS}"))["consumers"] or ())


def _durable(names: set[str]) -> set[str]:
    return {name for name in names if not name.startswith("follow-")}


async def _api(scene: Scene, subject: str) -> Any:
    reply = await scene.witness.request(f"$JS.API.{subject}", b"")
    return msgspec.json.decode(reply.body)


ROWS = (
    Row(id="S1", fault="every consumer is deleted", inject=delete_consumers, weight=0.2),
    Row(id="S2", fault=f"stream full for {FULL_S:g} s", inject=fill_stream, weight=0.2),
    Row(
        id="S3",
        fault=f"disk full for {FULL_S:g} s",
        inject=fill_disk,
        stage=small_disk,
        weight=0.1,
        missing=_cannot_mount,
    ),
)
