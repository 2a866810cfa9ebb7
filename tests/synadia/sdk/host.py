"""An agent hosted with `synadia-ai-agent-service`, until its stdin ends.

    host.py NATS_URL NAME

It chats as such agents do: text in several chunks, JSON inside prose and a fence. A task with the
word `ask` in it makes it ask its caller first, one with `fail` makes its handler raise, one with
`wait` makes it wait for ever. Prints `ready` and its prompt subject, then a line for each prompt.
"""

import asyncio
import json
import sys

import nats
from synadia_ai.agent_service import AgentService, PromptStream
from synadia_ai.agents import Envelope

SCHEMA = "JSON Schema:\n"


def ballot(prompt: str) -> str:
    """The first ranking that the schema allows."""
    schema = json.loads(prompt.partition(SCHEMA)[2])
    ranking = schema["properties"]["ranking"]["enum"][0]
    return json.dumps({"ranking": ranking, "approve": ranking[:1]})


async def answer(envelope: Envelope, stream: PromptStream) -> None:
    prompt = envelope.prompt
    print(f"prompt {json.dumps(prompt)}", flush=True)
    task = prompt.partition("# Task\n")[2].partition("\n\n")[0]
    if SCHEMA in prompt:
        await stream.send("Having weighed them all, I vote:\n\n```json\n")
        await stream.send(ballot(prompt))
        await stream.send("\n```\nThat is my vote.")
        return
    if "fail" in task:
        raise RuntimeError("nobody's business")
    if "wait" in task:
        await asyncio.Event().wait()
    if "ask" in task:
        reply = await stream.ask("May I?", timeout=10)
        await stream.send(f"I was told: {reply.prompt} ")
    for piece in ("Keep a ledger ", "of every ", "attempt."):
        await stream.send(piece)


async def main(url: str, name: str) -> None:
    connection = await nats.connect(url)
    service = AgentService(
        agent="demo", owner="tests", session_name=name, nc=connection, max_concurrent_prompts=8
    )
    service.on_prompt(answer)
    await service.start()
    print(f"ready {service.subject.prompt}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await service.stop()
    await connection.close()


asyncio.run(main(*sys.argv[1:]))
