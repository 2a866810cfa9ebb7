"""Benchmarks run at all: with little work, as a user would start them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.bench, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", ["seats_scaling", "replicas", "in_flight", "payload"])
def test_a_quick_run_keeps_rows_versions_and_hardware(name: str, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "tests/bench/run.py", name, "--quick", "--report", "--into", tmp_path],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.iterdir()
    assert file.name == f"{name}.quick.json"
    kept = json.loads(file.read_text())
    assert kept["bench"] == name
    assert kept["rows"]
    assert all(row.get("errors", 0) == 0 for row in kept["rows"])
    assert {"python", "conclave", "nats-server"} <= kept["versions"].keys()
    assert kept["hardware"]["cores"] > 0
    assert kept["command"].startswith("python tests/bench/run.py")
