"""One Ray cluster on loopback, for the two rivals that are built on Ray."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}
NAMESPACE = "rival"


@contextmanager
def cluster(cpus: int) -> Iterator[str]:
    """Start Ray without its dashboard; yield the address that drivers join it by."""
    import ray

    folder = tempfile.mkdtemp(prefix="rival-ray-", dir="/tmp")
    try:
        yield _init(address="local", num_cpus=cpus, _temp_dir=folder).address_info["gcs_address"]
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def join(address: str) -> None:
    """Join as a driver of its own."""
    _init(address=address)


def _init(**settings: Any) -> Any:
    os.environ.update(LOOPBACK)
    import ray

    if settings["address"] == "local":
        settings |= {"include_dashboard": False, "object_store_memory": 2**28}
    return ray.init(namespace=NAMESPACE, logging_level="ERROR", log_to_driver=False, **settings)
