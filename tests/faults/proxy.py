"""A wire that can be cut: a TCP proxy in front of nats-server.

Links are known by the name that their client gives in CONNECT, so that one actor's can be chosen.
"""

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_NAME = re.compile(rb'CONNECT \{.*?"name":\s*"([^"]*)"')
_CHUNK = 65_536


class Link:
    """One connection through the proxy."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.name = ""
        self.swallows = False
        """Half-open: both ends believe in it, and nothing comes through."""
        self.moves = asyncio.Event()
        """While it is not set nothing is even taken: what an end sends stays in its own buffers."""
        self.moves.set()
        self._ends = (near, far)

    def cut(self) -> None:
        """End it at once, for both."""
        for end in self._ends:
            end.transport.abort()


class Proxy:
    """Forwards to a port of this machine. `url` is what clients connect to."""

    def __init__(self, port: int, seed: int = 0) -> None:
        self.links: set[Link] = set()
        self.delay_ms = (0.0, 0.0)
        """Least and most that each piece takes on its way; order is kept."""
        self.url = ""
        self._port = port
        self._random = random.Random(seed)

    def of(self, name: str = "") -> list[Link]:
        """The links of clients whose name begins so; of all by default."""
        return [link for link in self.links if link.name.startswith(name)]

    async def serve(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        """Carry one client's bytes until either side ends."""
        far_in, far_out = await asyncio.open_connection("127.0.0.1", self._port)
        link = Link(near_out, far_out)
        self.links.add(link)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._carry(link, near_in, far_out))
                tasks.create_task(self._carry(link, far_in, near_out))
        except* OSError:
            pass  # cut, or an end that died: the other end is told below
        finally:
            self.links.discard(link)
            link.cut()

    async def _carry(
        self, link: Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        while chunk := await source.read(_CHUNK):
            if not link.name and (found := _NAME.search(chunk)) is not None:
                link.name = found[1].decode()
            await link.moves.wait()
            if link.swallows:
                continue
            if self.delay_ms[1]:
                await asyncio.sleep(self._random.uniform(*self.delay_ms) / 1000)
            sink.write(chunk)
            await sink.drain()
        link.cut()


@asynccontextmanager
async def proxied(port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of a port of this machine while the block lasts."""
    proxy = Proxy(port)
    serving: set[asyncio.Task[None]] = set()

    async def accept(near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await proxy.serve(near_in, near_out)

    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = accept
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    proxy.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for link in tuple(proxy.links):
            link.cut()
        if serving:
            await asyncio.wait(serving, timeout=5.0)
