"""Who is killed takes along what it started."""

import subprocess
import sys

import psutil
import pytest

PARENT = """
import subprocess, sys
from actors.engines.reaper import Reaper
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
reaper = Reaper([child.pid])
if sys.argv[1] == "dismissed":
    reaper.dismiss()
print(child.pid, flush=True)
sys.stdin.read()
"""


def child_of_killed_parent(how: str) -> psutil.Process:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    return child


def test_a_killed_process_takes_along_what_it_started():
    child_of_killed_parent("watched").wait(timeout=10)


def test_what_has_been_seen_to_is_left_alone():
    child = child_of_killed_parent("dismissed")
    with pytest.raises(psutil.TimeoutExpired):
        child.wait(timeout=0.3)
    child.kill()
