"""Batches for training: drawn in chunks from a seed, so a run can be resumed at any chunk."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from corpus.mix import EASY, WEIGHTS, Sample, draw
from corpus.words import Lexicon, Split
from tokens import prefix_text, tail_texts
from torch import Tensor
from transformers import PreTrainedTokenizerFast

CHUNK = 4096
STEP = 32


@dataclass(frozen=True)
class Batch:
    """Token ids without the shared prefix, and the next token wherever it is to be learned."""

    ids: Tensor
    targets: Tensor


Row = tuple[list[int], list[bool]]


def encode(tokenizer: PreTrainedTokenizerFast, samples: list[Sample]) -> list[Row]:
    """Token ids of each sample, and which of them are the model's own to write."""
    parts = [tail_texts(sample) for sample in samples]
    flat = iter(tokenizer([text for texts in parts for text in texts])["input_ids"])
    rows: list[Row] = []
    for texts in parts:
        ids, own = list[int](), list[bool]()
        for place in range(len(texts)):
            piece = next(flat)
            ids += piece
            own += [place % 2 == 1] * len(piece)
        rows.append((ids, own))
    return rows


def prefix_ids(tokenizer: PreTrainedTokenizerFast) -> Tensor:
    """The shared beginning of every prompt."""
    return torch.tensor(tokenizer(prefix_text())["input_ids"])


def collate(rows: list[Row], pad: int) -> Batch:
    """Pad on the right to a common length; only the model's own tokens are targets."""
    longest = max(len(ids) for ids, _ in rows)
    length = -(-longest // STEP) * STEP
    ids = torch.full((len(rows), length), pad)
    targets = torch.full((len(rows), length), -100)
    for place, (row, own) in enumerate(rows):
        line, mine = torch.tensor(row), torch.tensor(own)
        ids[place, : len(row)] = line
        targets[place, : len(row) - 1] = torch.where(mine[1:], line[1:], -100)
    return Batch(ids, targets)


def chunk(
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    number: int,
    easy: bool,
    tokens: int,
    split: Split = "train",
) -> list[Batch]:
    """The batches of one chunk, each of about `tokens` tokens of similar length."""
    rng, lexicon = random.Random(f"{split}:{seed}:{number}"), Lexicon(split)
    rows = encode(tokenizer, [draw(lexicon, rng, EASY if easy else WEIGHTS) for _ in range(CHUNK)])
    rows = [row for row in rows if len(row[0]) <= (320 if easy else 2400)]
    rows.sort(key=lambda row: len(row[0]) + rng.random() * 24)
    batches, group, longest = [], list[Row](), 0
    for row in rows:
        longest = max(longest, len(row[0]))
        if group and longest * (len(group) + 1) > tokens:
            batches.append(collate(group, int(tokenizer.pad_token_id or 0)))
            group, longest = [], len(row[0])
        group.append(row)
    batches.append(collate(group, int(tokenizer.pad_token_id or 0)))
    rng.shuffle(batches)
    return batches


def held_out(tokenizer: PreTrainedTokenizerFast, count: int) -> dict[str, Batch]:
    """A fixed batch of every kind of sample, of words and questions not trained on."""
    from corpus.mix import MAKERS

    lexicon, found = Lexicon("held"), dict[str, Batch]()
    for kind, make in MAKERS.items():
        rng = random.Random(f"held:{kind}")
        rows = [
            row
            for row in encode(tokenizer, [make(lexicon, rng) for _ in range(count * 2)])
            if len(row[0]) < 480
        ]
        found[kind] = collate(rows[:count], int(tokenizer.pad_token_id or 0))
    return found


def stream(
    tokenizer: PreTrainedTokenizerFast, seed: int, start: int, easy_until: int, tokens: int
) -> Iterator[tuple[int, Batch]]:
    """Batches for ever from chunk `start`, with the number of the chunk to resume from."""
    number = start
    while True:
        for batch in chunk(tokenizer, seed, number, number < easy_until, tokens):
            yield number, batch
        number += 1
