"""The least that speaks OpenAI chat completions over HTTP: it echoes, and takes no time for it.

python -m tests.bench.rivals.model_server   prints its URL, works until killed
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection, request after request."""
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode().lower():
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            request = json.loads(await reader.readexactly(length))
            body = json.dumps(_completion(request)).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _completion(request: dict[str, object]) -> dict[str, object]:
    messages = request["messages"]
    assert isinstance(messages, list)
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": messages[-1]["content"]},
    }
    usage = {"prompt_tokens": 8, "completion_tokens": 8, "total_tokens": 16}
    return {
        "id": "chatcmpl-0", "object": "chat.completion", "created": 0,
        "model": request["model"], "choices": [choice], "usage": usage,
    }  # fmt: skip


async def main() -> None:
    """Listen on loopback."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    await server.serve_forever()


@asynccontextmanager
async def listening(instead: str) -> AsyncIterator[str]:
    """Run one in a process of its own and yield its URL, or only yield `instead`."""
    if instead:
        yield instead
        return
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, stdout=PIPE)
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    from uvloop import run

    run(main())
