"""What the engine's benchmarks make of what they see."""

import asyncio
import json

import pytest

from tests.bench.cancel_latency import SEATS, _stopped_ms
from tests.bench.engine_load import Load, Times, load
from tests.bench.engine_path import WAYS, bars, rows
from tests.bench.shapes import shaped


def test_texts_have_stopped_at_the_first_step_that_counts_so_many_less():
    steps = [(0.9, 6), (1.1, 6), (1.2, 6 - SEATS + 1), (1.3, 6 - SEATS), (1.4, 0)]
    assert round(_stopped_ms(steps, begun=1.0)) == 300


def test_without_a_later_step_nobody_knows_whether_they_have_stopped():
    assert _stopped_ms([(0.5, 6)], begun=1.0) is None
    assert _stopped_ms([(0.5, 6), (1.5, 6)], begun=1.0) is None


async def test_so_many_texts_are_in_flight_and_each_is_written_once():
    flying, most, seen = 0, 0, []

    async def one(number: int, mark: str) -> tuple[float | None, int]:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0)
        flying -= 1
        seen.append(mark)
        return (0.5 if number else None), 2

    times = await load(Load(name="x", texts=9, in_flight=4, max_tokens=2), one)
    assert sorted(seen) == [f"x-{number}" for number in range(9)]
    assert (most, times.tokens) == (4, 18)
    assert times.first_ms == [500.0] * 8


def test_a_way_is_held_against_the_direct_one_of_the_same_repeat():
    speeds = dict(zip(WAYS, (100, 100, 98, 97), strict=True))
    samples = {
        (in_flight, way): [
            Times(wall_s=seconds, tokens=int(tokens * seconds), host_s=0.1, first_ms=[5.0])
            for seconds in (1.0, 10.0)  # the machine was slower in the second: both alike
        ]
        for in_flight in (1, 64)
        for way, tokens in speeds.items()
    }
    speed, added, cost = bars(samples)
    assert (speed.value, speed.met) == (0.97, True)
    assert (added.value, added.met) == (0.0, True)
    assert round(cost.value, 3) == round(1 - 97 / 98, 3)
    assert [row["of direct"] for row in rows("m", samples)][:4] == [1.0, 1.0, 0.98, 0.97]


@pytest.mark.vllm
def test_a_shape_has_every_word_that_its_model_can_write_and_no_weights():
    transformers = pytest.importorskip("transformers", reason="the engine is not installed")
    folder = shaped("small")
    words = json.loads((folder / "config.json").read_bytes())["vocab_size"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) == words
    assert tokenizer.decode([words - 1]).strip()
    assert sum(file.stat().st_size for file in folder.glob("*.safetensors")) < 16
