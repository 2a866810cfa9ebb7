"""Batches for training: drawn in chunks from a seed, so a run can be resumed at any chunk."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from corpus.mix import MAKERS, NO_ERRORS, Errors, Sample, closed_question, draw
from corpus.peers import LABELS, Peer
from corpus.words import Lexicon, Split
from tokens import prefix_text, tail_texts
from torch import Tensor
from transformers import PreTrainedTokenizerFast

CHUNK = 1024
STEP = 16
BARE, LONGEST = 192, 2400
FENCE = re.compile(r"<<<(\w+) \w+\n(.*?)\n(>>>\1)", re.DOTALL)
LIST = re.compile(r"[Ll]ist: (.*?)[?\n]")
ELSEWHERE, IN_TASK, OFF_TOPIC, BROKEN, GOOD, LABEL = 0, 1, 2, 3, 4, 8


@dataclass(frozen=True)
class Batch:
    """Token ids without the shared prefix, the next token wherever it is to be learned, notes."""

    ids: Tensor
    targets: Tensor
    notes: Tensor
    bare: bool

    def every(self, step: int, start: int) -> "Batch":
        """The rows of one worker of `step`."""
        rows = slice(start, None, step)
        return Batch(self.ids[rows], self.targets[rows], self.notes[rows], self.bare)

    def to(self, device: str) -> "Batch":
        """The same on a device."""
        return Batch(self.ids.to(device), self.targets.to(device), self.notes.to(device), self.bare)


@dataclass
class Row:
    """A sample in tokens: which are the model's own to write, and what to note at which place."""

    ids: list[int]
    own: list[bool]
    notes: dict[int, int]
    bare: bool


def verdict(peer: Peer) -> int:
    """What to note at the end of a peer's text: its fault, or how many of the words it names."""
    if peer.fault:
        return OFF_TOPIC if peer.fault == "off topic" else BROKEN
    return GOOD + min(peer.covered, 3)


def ordinals(text: str) -> dict[int, int]:
    """What a reader who counts should note at the end of each item of a list: its how-manieth."""
    found, told = dict[int, int](), re.search(LIST, text)
    if told:
        place, seen = told.start(1), list[str]()
        for item in told[1].split(", "):
            seen.append(item)
            place += len(item)
            found[place - 1] = LABEL + min(seen.count(item), len(LABELS)) - 1
            place += len(", ")
    return found


def notes(text: str, peers: Sequence[Peer], words: Sequence[str]) -> dict[int, int]:
    """What a reader of the fenced texts should note, by place in the text.

    At the end of each word: does it stand in the task; where a fence closes: which label it
    closes; behind that: the verdict. They are learned at a middle layer by a head that is not
    part of the exported model.
    """
    found, asked = dict[int, int](), {word.lower() for word in words}
    for fence, peer in zip(FENCE.finditer(text), peers, strict=False):
        for word in re.finditer(r"[\w-]+", fence[2]):
            found[fence.start(2) + word.end() - 1] = (
                IN_TASK if word[0].lower() in asked else ELSEWHERE
            )
        found[fence.start(3)] = LABEL + LABELS.index(peer.label)
        found[fence.end() - 1] = verdict(peer)
    return found


def encode(tokenizer: PreTrainedTokenizerFast, samples: list[Sample]) -> list[Row]:
    """The rows of samples."""
    parts = [tail_texts(sample) for sample in samples]
    flat = [text for texts in parts for text in texts]
    told, place = tokenizer(flat), 0
    rows: list[Row] = []
    for sample, texts in zip(samples, parts, strict=True):
        row, peers = Row([], [], {}, sample.bare), list(sample.peers)
        for turn, text in enumerate(texts):
            piece = told["input_ids"][place]
            if turn % 2 == 0:
                noted = ordinals(text)
                if peers:
                    noted |= notes(text, peers, sample.words)
                    peers = peers[len(FENCE.findall(text)) :]
                for char, note in noted.items():
                    row.notes[len(row.ids) + told.char_to_token(place, char)] = note
            row.ids += piece
            row.own += [turn % 2 == 1] * len(piece)
            place += 1
        rows.append(row)
    return rows


def joined(rows: list[Row]) -> list[Row]:
    """Bare samples one behind the other, cut to `BARE` tokens, without rows of nothing to learn."""
    found, row = list[Row](), Row([], [], {}, bare=True)
    for each in rows:
        row.notes |= {len(row.ids) + place: note for place, note in each.notes.items()}
        row.ids, row.own = row.ids + each.ids, row.own + each.own
        if len(row.ids) >= BARE:
            kept = {place: note for place, note in row.notes.items() if place < BARE}
            if any(row.own[1:BARE]):
                found.append(Row(row.ids[:BARE], row.own[:BARE], kept, bare=True))
            row = Row([], [], {}, bare=True)
    return found


def prefix_ids(tokenizer: PreTrainedTokenizerFast) -> Tensor:
    """The shared beginning of every prompt."""
    return torch.tensor(tokenizer(prefix_text())["input_ids"])


def collate(rows: list[Row], pad: int) -> Batch:
    """Pad on the right to a common length; only the model's own tokens are targets."""
    longest = max(len(row.ids) for row in rows)
    length = -(-longest // STEP) * STEP
    ids = torch.full((len(rows), length), pad)
    targets, noted = torch.full_like(ids, -100), torch.full_like(ids, -100)
    for place, row in enumerate(rows):
        line, mine = torch.tensor(row.ids), torch.tensor(row.own)
        ids[place, : len(line)] = line
        targets[place, : len(line) - 1] = torch.where(mine[1:], line[1:], -100)
        noted[place, list(row.notes)] = torch.tensor(list(row.notes.values()), dtype=torch.long)
    return Batch(ids, targets, noted, rows[0].bare)


def batches(rows: list[Row], tokens: int, pad: int, rng: random.Random) -> Iterator[Batch]:
    """Rows of similar length together, about `tokens` tokens in each batch."""
    group, longest = list[Row](), 0
    for row in sorted(rows, key=lambda row: len(row.ids) + rng.random() * 16):
        longest = max(longest, len(row.ids))
        if group and longest * (len(group) + 1) > tokens:
            yield collate(group, pad)
            group, longest = [], len(row.ids)
        group.append(row)
    if group:
        yield collate(group, pad)


def chunk(
    tokenizer: PreTrainedTokenizerFast,
    name: str,
    weights: dict[str, float],
    tokens: int,
    errors: Errors = NO_ERRORS,
    split: Split = "train",
) -> list[Batch]:
    """The batches of one chunk of the mixture, in random order; its name is its seed."""
    rng, lexicon = random.Random(f"{split}:{name}"), Lexicon(split)
    rows = encode(tokenizer, [draw(lexicon, rng, weights, errors) for _ in range(CHUNK)])
    chats = [row for row in rows if not row.bare and len(row.ids) <= LONGEST]
    pad = int(tokenizer.pad_token_id or 0)
    found = [*batches(chats, tokens, pad, rng)]
    found += batches(joined([row for row in rows if row.bare]), tokens, pad, rng)
    rng.shuffle(found)
    return found


def single_rows(
    tokenizer: PreTrainedTokenizerFast, kind: str, level: int, count: int
) -> list[Batch]:
    """Training questions of a kind and level with right answers, each a batch of its own."""
    lexicon, rng = Lexicon("train"), random.Random(f"single:{kind}:{level}")
    samples = [closed_question(lexicon, rng, only=(kind, level), turns=1) for _ in range(count)]
    return [collate([row], int(tokenizer.pad_token_id or 0)) for row in encode(tokenizer, samples)]


def held_out(tokenizer: PreTrainedTokenizerFast, count: int) -> dict[str, Batch]:
    """A fixed batch of every kind of sample, of words and questions not trained on."""
    lexicon, found = Lexicon("held"), dict[str, Batch]()
    for kind, make in MAKERS.items():
        rng = random.Random(f"held:{kind}")
        rows = encode(tokenizer, [make(lexicon, rng) for _ in range(count * 2)])
        rows = [row for row in rows if len(row.ids) < 480]
        found[kind] = collate(rows[:count], int(tokenizer.pad_token_id or 0))
    return found
