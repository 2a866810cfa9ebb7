"""What does a large request cost, and what is said of one that is too large?

The task's description or its context is filled up, from 1 KB to the most that the contract allows.
Whatever is asked is stored once with the opening and once for each of the three seats. A request
over a limit must have a typed error, whoever finds it: the dispatcher, or the client's own bus
where the server would take nothing.
"""

import time
from collections.abc import Mapping
from typing import Any

from actors.bus import TooLarge
from actors.settings import Limits
from schemas.codec import encode
from schemas.deliberation import DeliberationRequest
from supervisor.up import running
from tests.bench.asking import Asked, Asking, TurnedDown
from tests.bench.measuring import Options, Plot, Result, median, percentile, scripted

KB = 1_000
DESCRIPTION, CONTEXT = 100 * KB, 1_000 * KB
"""The bounds in characters of schemas/types.py."""

REPEATS = 3
COUNT, LARGE_COUNT, LARGE = 100, 25, 50 * KB
"""Requests a repeat; fewer of large ones."""

TAKEN: tuple[tuple[int, int], ...] = (
    (KB, 0),
    (10 * KB, 0),
    (DESCRIPTION, 0),
    (1, KB),
    (1, 10 * KB),
    (1, 100 * KB),
    (1, CONTEXT),
    (48 * KB, CONTEXT),
)
"""Characters of description and context; the last body is just below `limits.max_request_bytes`."""

FILLED = {(True, False): "description", (False, True): "context", (True, True): "both"}
"""What is filled up."""

REFUSED: tuple[tuple[int, int], ...] = (
    (DESCRIPTION + 1, 0),
    (1, CONTEXT + 1),
    (DESCRIPTION, CONTEXT),
    (1, 9 * CONTEXT),
)
"""Over the bound of a field, over `limits.max_request_bytes`, over the server's max_payload."""


async def measure(options: Options) -> Result:
    """Ask with every size, in turn, several times; then with what is too large."""
    repeats = options.repeats or (1 if options.quick else REPEATS * (3 if options.full else 1))
    samples: dict[tuple[int, int], list[list[Asked]]] = {size: [] for size in TAKEN}
    async with running(scripted()) as system, Asking(system.nats) as client:
        await _block(client, _filled(KB, 0), COUNT // 2)
        for _ in range(repeats):
            for size, blocks in samples.items():
                fields = _filled(*size)
                count = LARGE_COUNT if sum(size) >= LARGE else COUNT
                blocks.append(await _block(client, fields, 5 if options.quick else count))
        rows = [_row(size, samples) for size in TAKEN]
        rows += [await _refused(client, size) for size in REFUSED]
    return Result(
        bench="payload",
        question=(__doc__ or "").partition("\n")[0],
        rows=rows,
        plots=(
            Plot(
                title="size of the request",
                x="bytes",
                y=("ack p50", "whole p50"),
                by=("filled",),
                where={"refused as": None},
                unit="ms",
                log_x=True,
                log_y=True,
            ),
        ),
        notes=(
            "Bytes of the whole body; latencies in ms of one at a time, three seats of zero"
            f" latency; limits.max_request_bytes is {Limits().max_request_bytes:,}.",
        ),
        detail={str(size): blocks for size, blocks in samples.items()},
    )


def _filled(description: int, context: int) -> dict[str, Any]:
    return {
        "task_description": "retries " * (description // 8) + "x" * (description % 8),
        "context": "billing " * (context // 8) + "y" * (context % 8),
        "role": "DEV",
        "num_agents": 3,
        "protocol": "independent",
    }


async def _block(client: Asking, fields: Mapping[str, Any], count: int) -> list[Asked]:
    return [await client.ask(**fields) for _ in range(count)]


def _row(
    size: tuple[int, int], samples: Mapping[tuple[int, int], list[list[Asked]]]
) -> dict[str, Any]:
    acks = [[each.ack_ms for each in block] for block in samples[size]]
    wholes = [[each.whole_ms for each in block] for block in samples[size]]
    first = [percentile([each.whole_ms for each in block], 0.5) for block in samples[TAKEN[0]]]
    own = [percentile(block, 0.5) for block in wholes]
    return {
        **_size(size),
        "ack p50": median([percentile(block, 0.5) for block in acks]),
        "ack p99": median([percentile(block, 0.99) for block in acks]),
        "whole p50": median(own),
        "whole p99": median([percentile(block, 0.99) for block in wholes]),
        "x 1 KB": median([a / b for a, b in zip(own, first, strict=True)]),
    }


def _size(size: tuple[int, int]) -> dict[str, Any]:
    description, context = size
    body = encode(DeliberationRequest(task_id="asking-0", **_filled(*size)))
    filled = FILLED[description > 1, context > 0]
    return {"filled": filled, "description": description, "context": context, "bytes": len(body)}


async def _refused(client: Asking, size: tuple[int, int]) -> dict[str, Any]:
    begun = time.perf_counter()
    try:
        await client.open(**_filled(*size))
    except TurnedDown as refused:
        code, said = refused.error.code, f"{refused.error.path}: {refused.error.message}"
    except TooLarge as error:
        code, said = "TooLarge, nothing sent", str(error)
    else:
        raise RuntimeError(f"a request of {size} characters was accepted")
    waited = (time.perf_counter() - begun) * 1000
    return {**_size(size), "ack p50": waited, "refused as": code, "said": said}
