"""A caller built with `synadia-ai-agents`: finds one agent, prompts it, prints all that it sees.

    caller.py NATS_URL SESSION ENVELOPE [FILE ...]

Prints JSON lines: `found`, a `status` or `response` for each chunk, `error` if the stream ends so,
and `alive`, what the SDK's tracker knows of the agent from its heartbeats.
"""

import asyncio
import json
import sys
from pathlib import Path

import nats
from synadia_ai.agents import (
    Agents,
    Attachment,
    DiscoverFilter,
    Envelope,
    NatsAgentError,
    ResponseChunk,
    StatusChunk,
)


def tell(**line: object) -> None:
    print(json.dumps(line), flush=True)


async def main(url: str, session: str, envelope: str, files: list[str]) -> None:
    connection = await nats.connect(url)
    agents = Agents(nc=connection)
    try:
        (agent,) = await agents.discover(filter=DiscoverFilter(session_name=session))
        status = await agent.status()
        tell(
            found=agent.prompt_subject,
            agent=agent.agent,
            owner=agent.owner,
            protocol=agent.protocol_version,
            max_payload=agent.prompt_endpoint.max_payload_bytes,
            attachments_ok=agent.prompt_endpoint.attachments_ok,
            pinged=await agents.ping(agent.instance_id),
            same_instance=status.instance_id == agent.instance_id,
        )
        attachments = [Attachment.from_path(Path(file)) for file in files] or None
        request = Envelope(**json.loads(envelope))
        try:
            async for chunk in agent.prompt(request, attachments=attachments):
                if isinstance(chunk, StatusChunk):
                    tell(status=chunk.status)
                elif isinstance(chunk, ResponseChunk):
                    tell(response=chunk.text)
        except NatsAgentError as error:
            tell(error=f"{type(error).__name__}: {error}")
        while (alive := agents.liveness(agent.instance_id)) is None:
            await asyncio.sleep(0.05)
        tell(alive=alive.is_online)
    finally:
        await agents.close()
        await connection.close()


asyncio.run(main(*sys.argv[1:4], sys.argv[4:]))
