"""A Ray cluster on this machine for one driver alone; the only module that imports ray.

On loopback, closed by a random token, without dashboard and usage statistics; whatever ends the
driver, be it kill -9, ends every process of it.
"""

import asyncio
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any, Final

import psutil

from actors.engines.reaper import Reaper
from actors.settings import PoolSettings
from supervisor import engines

CPU: Final = "conclave_cpu"
"""The resource that stands for a machine without GPU: there is 1.0 of it."""
OBJECT_STORE_BYTES: Final = 80 << 20
"""About the least that Ray takes; nothing is ever put into it."""
SHUTDOWN_S: Final = 5.0
GONE_S: Final = 3.0
PAUSE_S: Final = 1.0
_VITAL: Final = frozenset({"gcs_server", "raylet"})

log = logging.getLogger(__name__)


class Cluster:
    """A running cluster: `ray` is the module, connected; `processes` are Ray's own."""

    def __init__(self, ray: Any) -> None:
        self.ray = ray
        self.processes = psutil.Process().children(recursive=True)

    @property
    def gpus(self) -> float:
        """How many GPUs Ray found."""
        return float(self.ray.cluster_resources().get("GPU", 0))

    async def lost(self) -> None:
        """Return when Ray itself has died; its client would notice a minute later."""
        vital = [process for process in self.processes if process.name() in _VITAL]
        while all(_lives(process) for process in vital):  # noqa: ASYNC110 - no one tells
            await asyncio.sleep(PAUSE_S)
        log.error("Ray has died")


@asynccontextmanager
async def cluster(settings: PoolSettings) -> AsyncIterator[Cluster]:
    """Start Ray and yield it; leave no process behind, however this ends."""
    # Ray's processes die with the thread that started them, so that thread must outlive them.
    thread = ThreadPoolExecutor(1, "ray")
    loop = asyncio.get_running_loop()
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets want short paths
    try:
        running = Cluster(await loop.run_in_executor(thread, _started, settings, folder))
        _take_back_sigterm()
        # Left alone, two helpers of the raylet outlive a killed driver by more than a minute, and
        # they overwrite the environment by which a supervisor would find them.
        reaper = Reaper(process.pid for process in running.processes)
        try:
            yield running
        finally:
            processes = {*running.processes, *psutil.Process().children(recursive=True)}
            with suppress(TimeoutError):  # it waits for ever for a cluster that has died
                shutdown = loop.run_in_executor(thread, running.ray.shutdown)
                await asyncio.wait_for(shutdown, SHUTDOWN_S)
            reaper.dismiss()
            await asyncio.to_thread(_end, [*processes])
    finally:
        thread.shutdown(wait=False)
        shutil.rmtree(folder, ignore_errors=True)


def _started(settings: PoolSettings, folder: str) -> Any:
    # Read at import or by child processes: the environment is the only way to say these.
    os.environ.update(
        {
            **engines.environment(settings),
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_COLOR_PREFIX": "0",
            "RAY_DEDUP_LOGS": "0",
            # By name for other systems; everywhere it means: listen on loopback only.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_enable_worker_prestart": "0",
            # Ray's 15 would let any other work on the machine slow every text.
            "RAY_worker_niceness": "0",
        }
    )
    ray: Any = import_module("ray")
    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=1,
        object_store_memory=OBJECT_STORE_BYTES,
        resources={CPU: 1.0},
        log_to_driver=True,
        logging_level=logging.ERROR,
        _temp_dir=folder,
    )
    return ray


def _take_back_sigterm() -> None:
    """Undo Ray's signal handler, which would write a stack trace before ours is called."""
    handler = signal.getsignal(signal.SIGTERM)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _end(processes: Sequence[psutil.Process]) -> None:
    """Wait until they are gone; kill what is still there."""
    _, left = psutil.wait_procs(processes, timeout=GONE_S)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=GONE_S)
