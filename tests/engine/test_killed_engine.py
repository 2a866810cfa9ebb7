"""An agent's process may be killed at any moment; its engine's own process must not outlive it."""

import subprocess
import sys

import psutil
import pytest

HOLDER = """
import asyncio, os, sys
from actors.settings import PoolSettings
from supervisor import engines

async def main():
    settings = PoolSettings(model=sys.argv[1], max_model_len=512, kv_cache_mib=64)
    await engines.start(settings)
    print("ready", flush=True)
    await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_agent_takes_its_engine_along(model_folder, tmp_path):
    pytest.importorskip("vllm", reason="the engine is not installed")
    script = tmp_path / "holder.py"
    script.write_text(HOLDER)
    with subprocess.Popen(
        [sys.executable, str(script), str(model_folder)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"ready\n"
        children = psutil.Process(holder.pid).children(recursive=True)
        holder.kill()
    assert len(children) > 1  # the engine's own process, and who ends it
    _, left = psutil.wait_procs(children, timeout=15)
    for process in left:
        process.kill()
    assert not left
