"""Places the replicas of one pool by Ray and keeps watch; the only module that imports ray.

Ray gives each replica its share of the machine and restarts it when its process ends. No task data
goes through Ray. The cluster is this driver's own: on loopback, closed by a random token, without
dashboard and usage statistics, and gone with it.
"""

import asyncio
import logging
import math
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any, Final

import msgspec
import psutil

from actors.models import ResolvedModel, resolve
from actors.nats_bus import connect
from actors.service import Service
from actors.settings import PoolSettings
from supervisor.actor import CONNECT_S, EXIT_FAILED, EXIT_OK
from supervisor.config import Config, ConfigError, handed_over
from supervisor.replica import Replica

MAX_RESTARTS: Final = 3
"""Restarts of one replica by Ray; then the driver exits and its supervisor starts all anew."""
PING_S: Final = 5.0
"""A ready replica that does not answer for so long, `MISSED` times in a row, hangs."""
MISSED: Final = 3
PAUSE_S: Final = 1.0
DRAIN_S: Final = 5.5
"""Less than a supervisor's patience with agents, more than an agent needs to drain."""
GONE_S: Final = 3.0
OBJECT_STORE_BYTES: Final = 80 << 20
"""About the least that Ray takes; nothing is ever put into it."""
CPU: Final = "conclave_cpu"
"""The resource that stands for a machine without GPU: there is 1.0 of it."""

log = logging.getLogger(__name__)


async def run_pool(config: Config, pool: str, instance: str, stop: asyncio.Event) -> int:
    """Run all replicas of a pool until `stop`; return 1 when Ray has given up on one.

    Raises ModelMissing and ConfigError for what cannot be started, BusError without NATS.
    """
    settings = config.pools[pool]
    model = await asyncio.to_thread(_model, settings)
    if model.note:
        log.warning("%s", model.note)
    bus = await connect(config.nats, f"placement {instance}", timeout_s=CONNECT_S)
    try:
        async with _cluster(settings, pool) as (ray, share):
            placed = ray.remote(Replica).options(
                num_cpus=0, max_restarts=MAX_RESTARTS, max_task_retries=0, **share
            )
            names = [f"{instance}-{number}" for number in range(1, settings.replicas + 1)]
            handed = (handed_over(config), msgspec.json.encode(model).decode(), pool)
            replicas = {name: placed.remote(*handed, name) for name in names}
            service = Service(
                bus,
                "conclave-placement",
                instance,
                "places the agents of a pool by Ray",
                metadata=lambda: {"pool": pool, "replicas": str(settings.replicas)},
            )
            await service.start()
            code = await _until(stop, [_watch(ray, name, r) for name, r in replicas.items()])
            await service.drain()
            await _drain(list(replicas.values()))
            return code
    finally:
        await bus.close()


def engine_environment(settings: PoolSettings) -> Mapping[str, str]:
    """Return what vLLM and its libraries are told by environment, to be set before their import.

    They speak on loopback only, tell nobody that they run, download nothing (the model is here
    already), and one engine uses no more threads than its share of the processors.
    """
    threads = max(1, math.floor((os.cpu_count() or 1) * min(1.0, settings.cpu_share)))
    return {
        "DO_NOT_TRACK": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        # One process fewer per engine: the worker lives in the engine's own.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
    }


def _model(settings: PoolSettings) -> ResolvedModel:
    if settings.engine == "scripted":
        return ResolvedModel("", settings.engine)
    return resolve(settings.model)


@asynccontextmanager
async def _cluster(settings: PoolSettings, pool: str) -> AsyncIterator[tuple[Any, dict[str, Any]]]:
    """Start Ray on this machine; yield it with one replica's share. Leave no process behind."""
    # Ray's processes die with the thread that started them, so that thread must outlive them.
    with ThreadPoolExecutor(1, "ray") as thread:
        loop = asyncio.get_running_loop()
        folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets want short paths
        ray = await loop.run_in_executor(thread, _started, settings, folder)
        _take_back_sigterm()
        try:
            yield ray, _share(ray, settings, pool)
        finally:
            started = psutil.Process().children(recursive=True)
            await loop.run_in_executor(thread, ray.shutdown)
            await asyncio.to_thread(_end, started)
            shutil.rmtree(folder, ignore_errors=True)


def _started(settings: PoolSettings, folder: str) -> Any:
    # Read at import or by child processes: the environment is the only way to say these.
    os.environ.update(
        {
            **engine_environment(settings),
            # By name for other systems; everywhere it means: listen on loopback only.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_COLOR_PREFIX": "0",
            "RAY_DEDUP_LOGS": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_enable_worker_prestart": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
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


def _share(ray: Any, settings: PoolSettings, pool: str) -> dict[str, Any]:
    """Return one replica's share of the machine. Raises ConfigError when not all find room.

    Ray would let a replica without room wait for ever.
    """
    gpus, needed = ray.cluster_resources().get("GPU", 0), settings.replicas
    given: dict[str, Any] = {}
    if settings.engine == "scripted":
        return given
    if gpus:
        share = settings.gpu_share
        room = gpus // share if share > 1 else gpus * math.floor(1 / share)
        key, given = "gpu_share", {"num_gpus": share}
    else:
        share = settings.cpu_share
        room = math.floor(1 / share + 1e-9)
        key, given = "cpu_share", {"resources": {CPU: share}}
    if needed > room:
        wrong = f"{needed} replicas of {share:g} do not fit on this machine"
        allowed = f"a share for {needed} replicas, such as {1 / needed:.2g}"
        raise ConfigError(f"pools.{pool}", key, wrong, allowed)
    return given


async def _until(stop: asyncio.Event, watches: Sequence[Any]) -> int:
    """Wait for `stop` or for the first replica that is lost; return the exit code."""
    stopping = asyncio.ensure_future(stop.wait())
    watching = [asyncio.ensure_future(watch) for watch in watches]
    await asyncio.wait([stopping, *watching], return_when=asyncio.FIRST_COMPLETED)
    for task in (stopping, *watching):
        task.cancel()
    return EXIT_OK if stop.is_set() else EXIT_FAILED


async def _watch(ray: Any, name: str, replica: Any) -> None:
    """Return when a replica is lost for good; start anew one that hangs."""
    ready, missed = False, 0
    while True:
        try:
            async with asyncio.timeout(PING_S):
                await replica.alive.remote()
        except TimeoutError:
            missed += ready
        except ray.exceptions.ActorUnavailableError:
            ready = False
        except ray.exceptions.ActorDiedError:
            log.error("replica lost, Ray has given up name=%s", name)  # noqa: TRY400
            return
        except ray.exceptions.RayTaskError as error:
            log.error("replica cannot start name=%s error=%s", name, error.cause)  # noqa: TRY400
            return
        else:
            ready, missed = True, 0
        if missed == MISSED:
            log.error("replica hangs, starting it anew name=%s", name)
            ray.kill(replica, no_restart=False)
            ready, missed = False, 0
        await asyncio.sleep(PAUSE_S)


async def _drain(replicas: Sequence[Any]) -> None:
    """Let the replicas finish or give back what they have; a lost one has nothing to say."""
    calls = (asyncio.ensure_future(replica.drain.remote()) for replica in replicas)
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await asyncio.gather(*calls, return_exceptions=True)


def _end(processes: Sequence[psutil.Process]) -> None:
    """Wait until they are gone; kill what is still there."""
    _, left = psutil.wait_procs(processes, timeout=GONE_S)
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=GONE_S)
