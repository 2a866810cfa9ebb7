"""`python untrained.py FOLDER [SCALE [POSITIONS]]`: a small Qwen3 of random weights, tokenizer and
template.

Scale 1 has 1.3 million parameters, scale 4 about 50 million. A prompt and its text have as many
tokens as there are positions.

It proves transport, scheduling and formats; never the quality of an answer.
"""

import json
import sys
import sysconfig
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

WORDS = 2_048
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(positions: int, size: int = WORDS) -> PreTrainedTokenizerFast:
    """A tokenizer of `size` words; those beyond what it learnt are never read, only written."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:40]
    # The whole alphabet of bytes: without it a grammar could ask for what cannot be written.
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator((path.read_text(errors="ignore") for path in sources), trainer)
    if size > WORDS:
        raw.model = _grown(raw, size)
    whole = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
        model_max_length=positions,
    )
    whole.chat_template = TEMPLATE
    return whole


def _grown(raw: Tokenizer, size: int) -> models.BPE:
    """The same model with more words, each a blank, a letter and a number."""
    learnt = json.loads(raw.to_str())["model"]
    words = learnt["vocab"] | {f"\u0120w{number}": number for number in range(WORDS, size)}
    return models.BPE(vocab=words, merges=[tuple(pair) for pair in learnt["merges"]])


def main(folder: str, scale: int = 1, positions: int = 2_048) -> None:
    words = tokenizer(positions)
    words.save_pretrained(folder)
    torch.manual_seed(0)
    shape = Qwen3Config(
        vocab_size=WORDS,
        hidden_size=128 * scale,
        intermediate_size=384 * scale,
        num_hidden_layers=4 * scale,
        num_attention_heads=4 * scale,
        num_key_value_heads=2 * scale,
        head_dim=32,
        max_position_embeddings=positions,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        dtype="bfloat16",
    )
    Qwen3ForCausalLM(shape).to(torch.bfloat16).save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
