"""The tokenizer: byte-level pairs learned from the corpus, digits one by one, a Qwen-like chat template."""

import random
from pathlib import Path

from corpus.mix import WEIGHTS, Sample, draw
from corpus.words import Lexicon
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from actors.deliberations.prompts import RULES

END, START, PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def learn_tokenizer(vocabulary: int, samples: int, seed: int) -> PreTrainedTokenizerFast:
    """Learn the vocabulary from generated training text; every byte stays writable.

    Only invented words stand in that text: no noun becomes a piece of its own, so nouns that
    training never meets are split like those that it does.
    """
    lexicon = Lexicon("train", invented_only=True)
    rng = random.Random(f"tokenizer:{seed}")
    drawn = (draw(lexicon, rng, WEIGHTS) for _ in range(samples))
    texts = [RULES] * 50 + [f"{sample.user}\n{sample.answer}" for sample in drawn]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[START],
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE
    return fast


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Read a tokenizer that was saved."""
    return PreTrainedTokenizerFast.from_pretrained(folder)


def prefix_text() -> str:
    """What all prompts begin with: the system message."""
    return f"{START}system\n{RULES}{END}\n"


def tail_texts(sample: Sample) -> list[str]:
    """The rest of the conversation: prompt, answer with its end, next prompt, and so on."""
    if sample.bare:
        turns = ((sample.user, sample.answer), *sample.more)
        return [text for turn in turns for text in turn]
    parts = [f"{START}user\n{sample.user}{END}\n{START}assistant\n", f"{sample.answer}{END}"]
    for user, answer in sample.more:
        parts += [f"\n{START}user\n{user}{END}\n{START}assistant\n", f"{answer}{END}"]
    return parts
