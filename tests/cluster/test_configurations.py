"""deploy/nats/: what is shipped is accepted by the nats-server that is installed."""

import os
import subprocess
from pathlib import Path

import pytest

from supervisor.durability import PROFILES
from supervisor.nats_server import binary

FOLDER = Path(__file__).parents[2] / "deploy" / "nats"
KNOWN = {
    "CONCLAVE_NODE": "n1",
    "CONCLAVE_HOST": "127.0.0.1",
    "CONCLAVE_PORT": "4222",
    "CONCLAVE_ROUTE_PORT": "6222",
    "CONCLAVE_ROUTES": '["nats-route://127.0.0.1:6222"]',
    "CONCLAVE_STORE": "/nowhere",
    "CONCLAVE_SYNC": "10s",
}


@pytest.mark.parametrize("name", ["single.conf", "cluster.conf"])
def test_the_server_accepts_it(name):
    tested = subprocess.run(
        [binary(), "-t", "-c", str(FOLDER / name)],
        env=os.environ | KNOWN,
        capture_output=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stderr


def test_the_cluster_writes_through_as_its_profile_says():
    text = (FOLDER / "cluster.conf").read_text()
    assert f"sync_interval: {PROFILES['cluster'].sync_interval}\n" in text


def test_no_door_is_open_that_nobody_uses():
    for file in FOLDER.glob("*.conf"):
        settings = [
            line for line in file.read_text().splitlines() if not line.strip().startswith("#")
        ]
        text = "\n".join(settings)
        for door in ("websocket", "mqtt", "leafnodes", "no_auth_user", "0.0.0.0"):  # noqa: S104
            assert door not in text
