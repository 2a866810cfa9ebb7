"""K: three nats-servers, of which one or two are lost. Every message lies on all three."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from actors.settings import Retention
from subjects.streams import DELIBERATIONS
from supervisor.up import running
from tests.cluster.servers import NAMES, Servers, cluster, no_namespaces, stream_info, whole
from tests.faults.rows.row import Row
from tests.faults.scene import Load, Scene, shipped

GAP_S = 10.0
"""After the loss of a leader, deliberations are accepted again within this."""

NOTICED_S = 30.0
"""And are ended again within this: whoever was linked to the lost one has to notice first."""


class Clustered(Scene):
    """A scene whose NATS is three `servers`."""

    servers: Servers

    async def leader(self) -> str:
        """The server that leads the stream of deliberations."""
        leader: str = (await stream_info(self.witness, DELIBERATIONS))["cluster"]["leader"]
        return leader

    async def whole(self) -> None:
        """Return when every server has everything again."""
        await self.until(lambda: whole(self.witness, DELIBERATIONS))


@asynccontextmanager
async def clustered(load: Load, tag: str) -> AsyncIterator[Scene]:
    """The actors of one machine, with three nats-servers on others."""
    async with cluster() as servers:
        retention = Retention(durability="cluster", replicas=len(NAMES))
        config = shipped(load, nats=servers.settings, retention=retention)
        async with running(config) as system:
            scene = Clustered(load, config, system)
            scene.servers = servers
            async with scene.observed(tag):
                await scene.whole()
                yield scene


async def kill_leader(scene: Scene) -> None:
    """The stream's leader dies by kill -9, and is started again later."""
    assert isinstance(scene, Clustered)
    leader = await scene.leader()
    async with scene.recovering(NOTICED_S):
        scene.servers.kill(leader)
        scene.kills += 1
        if (gap_s := await scene.ledger.accepts()) > GAP_S:
            scene.problems.append(f"nothing was accepted for {gap_s:.1f} s")
        await scene.ledger.flows()
    scene.servers.start(leader)
    await scene.whole()


async def partition(scene: Scene) -> None:
    """The leader is cut off from everybody, clients and servers, and comes back."""
    assert isinstance(scene, Clustered)
    await _without_leader(scene, scene.servers.unplug, scene.servers.plug_in)


async def pause_leader(scene: Scene) -> None:
    """The leader hangs, and comes back."""
    assert isinstance(scene, Clustered)
    await _without_leader(scene, scene.servers.pause, scene.servers.resume)


async def _without_leader(
    scene: Clustered, take_away: Callable[[str], None], bring_back: Callable[[str], None]
) -> None:
    leader = await scene.leader()
    async with scene.recovering(NOTICED_S):
        take_away(leader)
        await scene.ledger.flows()
    await scene.pause()
    bring_back(leader)
    await scene.whole()


async def lose_two(scene: Scene) -> None:
    """Two of three die: nothing is accepted any more, until one of them is back."""
    assert isinstance(scene, Clustered)
    first, second = [name for name in NAMES if name != await scene.leader()]
    for name in (first, second):
        scene.servers.kill(name)
        scene.kills += 1
    await asyncio.sleep(GAP_S)
    async with scene.recovering(NOTICED_S):
        scene.servers.start(first)
        await scene.ledger.flows()
    scene.servers.start(second)
    await scene.whole()


async def upgrade(scene: Scene) -> None:
    """Each server in turn hands over what it leads, ends, and is started again."""
    assert isinstance(scene, Clustered)
    for name in NAMES:
        await scene.servers.retire(name)
        async with scene.recovering(NOTICED_S):
            await scene.ledger.flows()
        scene.servers.start(name)
        await scene.whole()


ROWS = (
    Row(
        id="K1",
        fault="three servers: kill -9 of the leader",
        inject=kill_leader,
        stage=clustered,
        weight=0.3,
    ),
    Row(
        id="K2",
        fault="three servers: the leader is cut off",
        inject=partition,
        stage=clustered,
        weight=0.1,
        missing=no_namespaces,
    ),
    Row(
        id="K3",
        fault="three servers: SIGSTOP of the leader",
        inject=pause_leader,
        stage=clustered,
        weight=0.1,
    ),
    Row(
        id="K4",
        fault="three servers: kill -9 of two",
        inject=lose_two,
        stage=clustered,
        weight=0.1,
    ),
    Row(
        id="K5",
        fault="three servers: lame-duck upgrade, one after the other",
        inject=upgrade,
        stage=clustered,
        weight=0.05,
    ),
)
