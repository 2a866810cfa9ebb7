"""C: the wall clock of the actors' machine jumps (libfaketime; nats-server's own stays right)."""

import ctypes.util
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from tests.faults.rows.row import Row
from tests.faults.scene import CORE, Load, Scene, supervised

HOUR = 3_600
PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


class Shifted(Scene):
    """A scene whose actors read their clock from `clock`, as an offset in seconds."""

    clock: Path


def _library() -> str:
    found = [path for place in PLACES for path in Path("/").glob(place[1:])]
    return str(found[0]) if found else (ctypes.util.find_library("faketimeMT") or "")


@contextmanager
def _faked(clock: Path) -> Iterator[None]:
    """What starts in this block has its wall clock from a file; monotonic time is real."""
    faked = {
        "LD_PRELOAD": _library(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }
    os.environ.update(faked)
    try:
        yield
    finally:
        for name in faked:
            del os.environ[name]


@asynccontextmanager
async def shifted(load: Load, tag: str) -> AsyncIterator[Scene]:
    """Everything on one machine, whose clock can be set."""
    with tempfile.TemporaryDirectory(prefix="conclave-faults-") as folder:
        clock = Path(folder) / "clock"
        clock.write_text("+0")
        with _faked(clock):
            async with supervised(load, tag, Shifted) as scene:
                assert isinstance(scene, Shifted)
                scene.clock = clock
                yield scene


async def jump(scene: Scene, seconds: int) -> None:
    """The clock jumps, stays wrong for a while, and is set right again."""
    assert isinstance(scene, Shifted)
    scene.clock.write_text(f"{seconds:+d}")
    await scene.pause()
    scene.clock.write_text("+0")
    async with scene.recovering():
        await scene.back(*CORE)


def _missing() -> str:
    return "" if _library() else "libfaketime is not installed"


ROWS = (
    Row(
        id="C1",
        fault="the clock jumps an hour ahead, and back",
        inject=partial(jump, seconds=HOUR),
        stage=shifted,
        weight=0.05,
        missing=_missing,
    ),
    Row(
        id="C2",
        fault="the clock jumps an hour back, and ahead",
        inject=partial(jump, seconds=-HOUR),
        stage=shifted,
        weight=0.05,
        missing=_missing,
    ),
)
