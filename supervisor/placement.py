"""Places the replicas of one pool by Ray and keeps watch over them.

Ray gives each replica its share of the machine and restarts it when its process ends. No task data
goes through Ray.
"""

import asyncio
import logging
import math
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

import msgspec

from actors.bus.nats_bus import connect
from actors.engines.models import ResolvedModel, resolve
from actors.service import Service
from actors.settings import PoolSettings
from supervisor.actor import CONNECT_S, EXIT_FAILED, EXIT_OK
from supervisor.cluster import CPU, Cluster, cluster
from supervisor.config import Config, ConfigError, handed_over
from supervisor.replica import Replica

MAX_RESTARTS: Final = 3
"""Restarts of one replica by Ray; then the driver exits and its supervisor starts all anew."""
PING_S: Final = 5.0
MISSED: Final = 3
"""A ready replica that does not answer within `PING_S`, `MISSED` times in a row, hangs."""
PAUSE_S: Final = 1.0
DRAIN_S: Final = 5.5
"""More than an agent needs to drain, and less than a supervisor's patience with it."""

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
    service = Service(
        bus,
        "conclave-placement",
        instance,
        "places the agents of a pool by Ray",
        metadata=lambda: {"pool": pool, "replicas": str(settings.replicas)},
    )
    try:
        async with cluster(settings) as ray_cluster:
            share = _share(ray_cluster.gpus, settings, pool)
            handed = (handed_over(config), msgspec.json.encode(model).decode(), pool)
            names = [f"{instance}-{number}" for number in range(1, settings.replicas + 1)]
            replicas = {name: _placed(ray_cluster, share, *handed, name) for name in names}
            await service.start()
            watches = [_watch(ray_cluster, name, replicas[name]) for name in names]
            code = await _until(stop, [*watches, ray_cluster.lost(), _closed(bus.closed)])
            await service.drain()
            await _drain(replicas.values())
            return code
    finally:
        await bus.close()


def _model(settings: PoolSettings) -> ResolvedModel:
    if settings.engine == "scripted":
        return ResolvedModel("", settings.engine)
    return resolve(settings.model)


def _share(gpus: float, settings: PoolSettings, pool: str) -> dict[str, Any]:
    """Return one replica's share of the machine. Raises ConfigError when not all find room.

    Ray would let a replica without room wait for ever.
    """
    if settings.engine == "scripted":
        return {}
    key = "gpu_share" if gpus else "cpu_share"
    share: float = getattr(settings, key)
    each = math.floor(1 / share + 1e-9)
    room = gpus * each if each else gpus // share
    if not gpus:
        room = each
    if settings.replicas > room:
        wrong = f"{settings.replicas} replicas of {share:g} do not fit on this machine"
        allowed = f"a share of which it holds {settings.replicas}"
        raise ConfigError(f"pools.{pool}", key, wrong, allowed)
    return {"num_gpus": share} if gpus else {"resources": {CPU: share}}


def _placed(ray_cluster: Cluster, share: dict[str, Any], *handed: str) -> Any:
    """Hand a replica to Ray; it starts when Ray has found its place."""
    placed = ray_cluster.ray.remote(Replica).options(
        num_cpus=0, max_restarts=MAX_RESTARTS, max_task_retries=0, **share
    )
    return placed.remote(*handed)


async def _until(stop: asyncio.Event, ends: Iterable[Coroutine[Any, Any, None]]) -> int:
    """Wait for `stop`, or for the first of the `ends` that nothing goes on after."""
    stopping = asyncio.ensure_future(stop.wait())
    ending = [asyncio.ensure_future(end) for end in ends]
    await asyncio.wait([stopping, *ending], return_when=asyncio.FIRST_COMPLETED)
    for task in (stopping, *ending):
        task.cancel()
    return EXIT_OK if stop.is_set() else EXIT_FAILED


async def _closed(closed: asyncio.Event) -> None:
    await closed.wait()
    log.error("NATS is closed to us for good")


async def _watch(ray_cluster: Cluster, name: str, replica: Any) -> None:
    """Return when a replica is lost for good; start anew one that hangs."""
    ray = ray_cluster.ray
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


async def _drain(replicas: Iterable[Any]) -> None:
    """Let the replicas finish or give back what they have; a lost one has nothing to say."""
    calls = [asyncio.ensure_future(replica.drain.remote()) for replica in replicas]
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await asyncio.gather(*calls, return_exceptions=True)
