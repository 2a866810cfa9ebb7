"""Starting the engine that a pool asks for; what is heavy is imported here and only then."""

import asyncio
import logging
import math
import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from actors.engines.engine import Engine
from actors.engines.models import ResolvedModel, resolve
from actors.settings import PoolSettings

log = logging.getLogger(__name__)


async def start(settings: PoolSettings, model: ResolvedModel | None = None) -> Engine:
    """Start an engine, in threads so that the process can be spoken to while a model loads.

    Without `model` the configured one is resolved, and told aloud when another stands in.
    Raises ModelMissing.
    """
    if settings.engine == "scripted":
        scripted: Any = import_module("actors.engines.scripted_engine")
        made: Engine = scripted.ScriptedEngine(settings)
        return made
    if model is None:
        model = await asyncio.to_thread(resolve, settings.model)
        if model.note:
            log.warning("%s", model.note)
    os.environ.update(environment(settings))
    log.info("engine starting model=%s: this takes a while", model.name)
    module: Any = await asyncio.to_thread(import_module, "actors.engines.vllm_engine")
    engine: Engine = await module.VllmEngine.create(model, settings)
    return engine


def environment(settings: PoolSettings) -> Mapping[str, str]:
    """Return what vLLM and its libraries are told by environment, to be set before their import.

    They speak on loopback only, tell nobody that they run, download nothing (the model is here
    already), and one engine computes with its share of the processors less one: threads that
    wait for each other suffer much from one that must wait for everybody else's work.
    """
    threads = max(1, math.floor((os.cpu_count() or 1) * min(1.0, settings.cpu_share)) - 1)
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
