"""`python untrained.py FOLDER [SCALE]`: a small Qwen3 of random weights, tokenizer and template.

Scale 1 has 1.3 million parameters, scale 4 about 50 million.

It proves transport, scheduling and formats; never the quality of an answer.
"""

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


def tokenizer() -> PreTrainedTokenizerFast:
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
    whole = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token=SPECIAL[2], pad_token=SPECIAL[0], model_max_length=2_048
    )
    whole.chat_template = TEMPLATE
    return whole


def main(folder: str, scale: int = 1) -> None:
    words = tokenizer()
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
        max_position_embeddings=2_048,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        dtype="bfloat16",
    )
    Qwen3ForCausalLM(shape).to(torch.bfloat16).save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
