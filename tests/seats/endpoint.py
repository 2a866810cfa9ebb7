"""A model endpoint on loopback that behaves as a test wants: an HTTP server, and its manners."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, Self

Write = Callable[[bytes], Coroutine[Any, Any, None]]
Manner = Callable[[dict[str, Any], Write], Coroutine[Any, Any, None]]

_HEAD = "HTTP/1.1 {} \r\nContent-Type: {}\r\nConnection: close\r\n\r\n"


def chunk(text: str = "", **choice: Any) -> dict[str, Any]:
    """One piece of a streamed chat completion."""
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None} | choice
    base = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "real-name"}
    return base | {"choices": [delta]}


def event(document: Any) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode()


def head(status: int = 200, kind: str = "text/event-stream") -> bytes:
    return _HEAD.format(status, kind).encode()


class Endpoint:
    """Answers every POST as `manner` does; remembers what it was asked, and who went away."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._server: asyncio.Server | None = None
        self.asked: list[dict[str, Any]] = []
        self.gone = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        try:
            said = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(said.partition("content-length:")[2].split()[0])
            self.asked.append(json.loads(await reader.readexactly(length)))
            talking = asyncio.create_task(self._manner(self.asked[-1], write))
            leaving = asyncio.create_task(reader.read())
            done, _ = await asyncio.wait({talking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving in done and talking not in done:
                self.gone.set()
            talking.cancel()
            leaving.cancel()
            await asyncio.gather(talking, leaving, return_exceptions=True)
        finally:
            writer.close()
