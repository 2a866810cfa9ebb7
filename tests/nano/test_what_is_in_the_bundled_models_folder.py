"""The bundled model's folder: small, complete; and held-out data that training cannot meet."""

import json
import random
import re
from pathlib import Path

import pytest

NANO = Path(__file__).parents[2] / "deploy" / "models" / "nano"


def test_the_folder_is_at_most_sixteen_megabytes():
    assert sum(file.stat().st_size for file in NANO.iterdir()) <= 16e6


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "config.json",
        "generation_config.json",
        "loss.png",
        "model.safetensors",
        "tokenizer.json",
        "training-log.jsonl",
    ],
)
def test_the_folder_holds(name):
    assert (NANO / name).stat().st_size > 0


def test_the_architecture_is_qwen3_in_bfloat16():
    config = json.loads((NANO / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert config["max_position_embeddings"] >= 2048


def test_the_card_says_that_it_is_no_assistant():
    card = (NANO / "README.md").read_text()
    assert "no assistant" in card
    assert "Apache-2.0" in card or "apache-2.0" in card


@pytest.mark.usefixtures("measuring")
def test_training_text_holds_no_held_out_word():
    from corpus.mix import FORBIDDEN, WEIGHTS, draw
    from corpus.words import Lexicon

    lexicon, rng = Lexicon("train"), random.Random("test:split")
    for _ in range(1_000):
        sample = draw(lexicon, rng, WEIGHTS)
        assert not FORBIDDEN & set(re.findall(r"[a-z]+", (sample.user + sample.answer).lower()))


@pytest.mark.usefixtures("measuring")
def test_closed_questions_of_the_two_splits_are_different():
    from corpus import closed
    from corpus.words import Lexicon

    rng = random.Random("test:closed")
    drawn = {
        split: {closed.draw("arithmetic", 1, Lexicon(split), rng).work("") for _ in range(300)}
        for split in ("train", "held")
    }
    assert not drawn["train"] & drawn["held"]


@pytest.mark.usefixtures("measuring")
def test_the_same_seed_draws_the_same_training_text():
    from corpus.mix import WEIGHTS, draw
    from corpus.words import Lexicon

    first, second = (
        [draw(Lexicon("train"), rng, WEIGHTS) for _ in range(50)]
        for rng in (random.Random(3), random.Random(3))
    )
    assert first == second
