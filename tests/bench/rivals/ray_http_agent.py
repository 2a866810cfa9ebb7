"""The agent of `ray_http`: a Ray task that calls a model over HTTP and publishes to JetStream.

In a module of its own, so that Ray's worker processes import it and keep its connections.
"""

import asyncio
import json
import os
from functools import cache
from typing import Any

import nats
import ray

SHARE = 0.25
"""Of a core for each Ray task, since they wait for HTTP: eight at once on two cores."""

MODEL = os.environ.get("RIVAL_MODEL", "echo")


@cache
def connections(nats_url: str, model_url: str) -> tuple[Any, Any, Any]:
    """Return this worker process's own event loop, JetStream and OpenAI client."""
    from openai import OpenAI

    loop = asyncio.new_event_loop()
    jetstream = loop.run_until_complete(nats.connect(nats_url)).jetstream()
    return loop, jetstream, OpenAI(base_url=model_url, api_key="none")


@ray.remote(num_cpus=SHARE, max_retries=3)
def agent(nats_url: str, model_url: str, task_id: str, seat: int, text: str) -> None:
    """Ask the model and publish the answer."""
    loop, jetstream, model = connections(nats_url, model_url)
    message = {"role": "user", "content": text}
    reply = model.chat.completions.create(model=MODEL, messages=[message])
    answer = {"seat": seat, "text": reply.choices[0].message.content}
    body = json.dumps(answer).encode()
    loop.run_until_complete(jetstream.publish(f"tasks.answer.{task_id}", body))
