"""One Ray cluster on loopback, for the two rivals that are built on Ray.

Its environment is that of `contestants.py`: Ray reads it when it is imported.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
    import ray

    if settings["address"] == "local":
        settings |= {"include_dashboard": False, "object_store_memory": 2**28}
        settings["_node_ip_address"] = "127.0.0.1"
    return ray.init(namespace=NAMESPACE, logging_level="ERROR", log_to_driver=False, **settings)
