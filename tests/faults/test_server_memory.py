"""What nats-server holds is read off its own memory profile, the caches of the stream apart."""

import asyncio

import pytest

from actors.settings import PoolSettings
from supervisor.config import Config, EmbeddedServer
from supervisor.up import running
from tests.faults.server_memory import own_bytes, own_mib, profiled

PROFILE = """heap profile: 7: 8392704 [9: 9000000] @ heap/{twice_the_rate}
2: 400 [2: 400] @ 0x1 0x2
#\t0x1\tserver.(*Sublist).Insert+0x9\tsublist.go:1

1: 8388608 [1: 8388608] @ 0x3
#\t0x3\tserver.init.func10+0x1\tfilestore.go:1
#\t0x4\tserver.getMsgBlockBuf+0x1\tfilestore.go:2

0: 0 [3: 96] @ 0x5
#\t0x5\tserver.(*client).parse+0x1\tparser.go:1

# runtime.MemStats
# HeapAlloc = 8389008
"""


def test_cached_blocks_are_left_out():
    assert own_bytes(PROFILE.format(twice_the_rate=2)) == 400


def test_what_a_sampled_allocation_stands_for_is_worked_out():
    # objects of 200 bytes, noted with a probability of 1 - exp(-200 / 512)
    assert own_bytes(PROFILE.format(twice_the_rate=1024)) == pytest.approx(400 / 0.3234, rel=1e-3)


def test_what_is_no_profile_is_refused():
    with pytest.raises(ValueError, match="no memory profile"):
        own_bytes("<html>not found</html>")


async def test_a_running_nats_server_tells_its_own_and_a_stopped_one_nothing():
    config = Config(
        server=EmbeddedServer(port=0, temporary_store=True),
        pools={"default": PoolSettings(engine="scripted")},
    )
    with profiled() as url:
        async with running(config):
            held = await asyncio.to_thread(own_mib, url)
    assert held is not None
    assert 0.5 < held < 30
    assert await asyncio.to_thread(own_mib, url) is None
