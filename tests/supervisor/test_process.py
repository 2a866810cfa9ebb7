"""A real process and everything it started: told, heard, ended."""

import os
import signal
import sys
from pathlib import Path

import pytest

from supervisor.process import LONGEST_LINE
from supervisor.spec import ChildSpec
from tests.supervisor.children import (
    CRASHING,
    OBEDIENT,
    PARENTAL,
    STUBBORN,
    alive,
    eventually,
    marked,
    python,
)


async def test_a_child_is_asked_to_end_and_does(start, lines):
    process = await start(python("import time; print('here', flush=True); time.sleep(600)"))
    await lines.first()
    await process.terminate(5.0)
    assert process.code == -signal.SIGTERM
    assert not alive(process.pid)


async def test_a_child_that_ignores_the_request_is_killed_after_the_timeout(start, lines):
    process = await start(python(STUBBORN))
    await lines.first()
    await process.terminate(0.1)
    assert process.code == -signal.SIGKILL


async def test_a_stopped_child_is_killed_all_the_same(start, lines):
    process = await start(python(OBEDIENT))
    await lines.first()
    os.kill(process.pid, signal.SIGSTOP)
    await process.terminate(0.1)
    assert not alive(process.pid)


async def test_a_child_that_ends_by_itself_reports_its_code_and_its_last_words(start):
    process = await start(python(CRASHING))
    await process.exited.wait()
    assert process.code == 1
    assert process.last_words == "the configuration is nowhere to be found"


async def test_a_program_that_does_not_exist_is_an_error_at_once(start):
    with pytest.raises(FileNotFoundError):
        await start(ChildSpec(id="child", argv=("/no/such/program",)))


@pytest.mark.parametrize("end", ["terminate", "kill"])
async def test_grandchildren_end_with_the_child_even_those_that_left_its_group(start, lines, end):
    process = await start(python(PARENTAL))
    await lines.first()
    await eventually(lambda: len(marked(process.mark)) == 3)
    await (process.terminate(5.0) if end == "terminate" else process.kill())
    await eventually(lambda: not marked(process.mark))


async def test_the_end_of_a_child_is_noticed_though_a_grandchild_holds_its_output(start):
    code = "import subprocess; subprocess.Popen(['sleep', '600'])"
    process = await start(python(code))
    await process.exited.wait()
    assert process.code == 0
    await eventually(lambda: not marked(process.mark))


async def test_output_and_errors_come_line_by_line(start, lines):
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); print(end='rest')"
    process = await start(python(code))
    await process.exited.wait()
    assert sorted(lines) == ["err", "out", "rest"]


async def test_an_endless_line_and_broken_text_do_no_harm(start, lines):
    code = "import sys; sys.stdout.buffer.write(b'\\xff' * 100_000 + b'\\nend')"
    process = await start(python(code))
    await process.exited.wait()
    assert max(len(line) for line in lines) <= 2 * LONGEST_LINE
    assert lines[-1] == "end"


async def test_a_childs_stdin_ends_when_its_parent_is_killed(start, tmp_path):
    """The parent here is a process of its own that supervises one obedient child."""
    script = f"""
import asyncio, sys
sys.path[:0] = {sys.path!r}
from supervisor.process import Process
from supervisor.spec import ChildSpec
OBEDIENT = {OBEDIENT!r}

async def main():
    told = ChildSpec(id="told", argv=(sys.executable, "-S", "-c", OBEDIENT))
    bound = ChildSpec(id="bound", argv=("sleep", "600"), dies_with_parent=sys.platform == "linux")
    first = await Process.start(told, lambda line: None)
    second = await Process.start(bound, lambda line: None)
    print("pids", first.pid, second.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    path = tmp_path / "parent.py"
    path.write_text(script)
    pids: list[int] = []
    spec = ChildSpec(id="parent", argv=(sys.executable, str(path)))
    parent = await start(spec, lambda line: pids.extend(map(int, line.split()[1:])))
    await eventually(lambda: len(pids) == 2)
    told, bound = pids
    os.kill(parent.pid, signal.SIGKILL)
    expected = [told, bound] if sys.platform == "linux" else [told]
    await eventually(lambda: not any(alive(pid) for pid in expected), within_s=5.0)
    await parent.exited.wait()


async def test_nothing_of_a_finished_child_stays_open(start):
    descriptors = Path("/proc/self/fd") if sys.platform == "linux" else Path("/dev/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(3):
        await (await start(python("pass"))).exited.wait()
    await eventually(lambda: len(list(descriptors.iterdir())) <= before + 1)
