"""Node with the packages that the contract is checked by, installed when they are missing."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import conclave, environment, up, url  # noqa: F401 - fixtures

HERE = Path(__file__).parent
INSTALL_S = 300.0
RUN_S = 60.0

Run = Callable[..., str]


@pytest.fixture(scope="session")
def packages() -> None:
    """What `package-lock.json` names. Without Node the test is skipped; in CI it fails."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs node and npm")
    lock = HERE / "package-lock.json"
    installed = HERE / "node_modules/.package-lock.json"
    with lock.open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            subprocess.run(["npm", "ci"], cwd=HERE, check=True, timeout=INSTALL_S)
            installed.touch()


@pytest.fixture
def node(packages: None) -> Run:
    """Runs a module that is handed in as text; returns what it printed."""

    def run(program: str, *arguments: str, **env: str) -> str:
        done = subprocess.run(
            ["node", "--input-type=module", "-", *arguments],
            input=program,
            cwd=HERE,
            env=os.environ | env,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
