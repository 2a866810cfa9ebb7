"""`conclave up` and `conclave demo` from nothing to nothing."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def ours(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_up_says_one_line_and_ends_on_sigterm_leaving_nothing(up: Callable):
    process, _ = up()
    children = ours(process)
    assert len(children) == 6
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert process.stdout.read() == ""
    _, alive = psutil.wait_procs(children, timeout=2)
    assert not alive


def test_up_listens_on_loopback_only(up: Callable):
    process, _ = up()
    listening = {
        connection.laddr.ip
        for child in ours(process)
        for connection in child.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_the_demo_asks_five_councils_times_seats_and_leaves_nothing(
    environment: dict[str, str], tmp_path: Path
):
    picture = tmp_path / "demo.svg"
    flags = ("--engine", "scripted", "--svg", str(picture))
    with subprocess.Popen(
        [sys.executable, "-m", "supervisor", "demo", *flags],
        cwd=ROOT,
        env=environment | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        shown, children = "", []
        for line in demo.stdout:
            shown += line
            children = children or (ours(demo) if line.startswith("ready") else [])
    assert demo.returncode == 0, shown
    for role in ("DEV", "QA", "ARCHITECT", "DEVOPS", "DATA"):
        assert f"{role}  COMPLETED" in shown
        assert f"agent-{role.lower()}-003 answered" in shown
    assert "T(3)/T(1) = " in shown
    assert "15 seats, scripted" in shown
    assert "\x1b" not in shown
    assert len(children) == 6
    assert not psutil.wait_procs(children, timeout=2)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["demo.svg"]
    assert "<svg" in picture.read_text()


def test_the_demo_takes_the_users_own_text_to_one_council(conclave):
    flags = ("--engine", "scripted", "--task", "Shall we ship?", "--role", "QA", "--agents", "2")
    done = conclave("demo", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 council, 2 seats" in done.stdout
    assert "Shall we ship?" in done.stdout
    assert "T(2)/T(1) = " in done.stdout
    assert "DEV" not in done.stdout


def test_the_demo_fails_when_a_deliberation_did(conclave):
    env = {"CONCLAVE_POOLS__DEFAULT__SCRIPTED_FAILURE_RATE": "1"}
    done = conclave("demo", "--engine", "scripted", "--role", "DEV", **env)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "planted_failure" in done.stdout
