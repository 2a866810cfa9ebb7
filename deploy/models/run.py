"""A training run: weights, optimizers, place in the text; one step, one check, and what is kept."""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from typing import Any

import torch
from corpus.closed import KINDS, LEVELS
from corpus.mix import CLOSING_FROM, Errors
from data import Batch, single_rows
from network import Nano
from torch import Tensor
from transformers import PreTrainedTokenizerFast

NOTE_WEIGHT, GUIDE_WEIGHT = 0.3, 0.25
GUIDED_UNTIL = 0.448
"""Share of the run after which no head is told where to look."""
RIGHT = 0.4
"""How probable a right answer to a closed question shall be in the closing stage, at most. At the
temperature of 0.8 that agents ask with, it is more: the wrong ones share the rest."""


def rate(share: float, step: int) -> float:
    """The learning rate as a share of its peak.

    Warm up, hold, and fall over the last two fifths before the closing stage; in that, begin at a
    fourth and fall again.
    """
    if share < CLOSING_FROM:
        return min(1.0, (step + 1) / 100, (1.0 - share / CLOSING_FROM) / 0.4 + 0.01)
    return 0.25 * max(0.0, 1.0 - share) / (1.0 - CLOSING_FROM) + 0.01


class Run:
    """Everything a run can be resumed from."""

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(args.seed)
        self.args = args
        self.net = Nano().to(args.device)
        self.named = list(self.net.named_parameters())
        matrices = [p for name, p in self.named if p.dim() == 2 and "layers" in name]
        others = [p for name, p in self.named if p.dim() != 2 or "layers" not in name]
        self.workers = ThreadPoolExecutor(args.workers)
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices[part :: args.workers], lr=0.02, weight_decay=0.01)
            for part in range(args.workers)
        ]
        self.optimizers.append(
            torch.optim.AdamW(others, lr=3e-3, betas=(0.9, 0.98), weight_decay=0)
        )
        self.peaks = [0.02] * args.workers + [3e-3]
        self.mean = {name: p.detach().clone() for name, p in self.named}
        self.step, self.tokens, self.chunk, self.seconds = 0, 0, 0, 0.0
        self.errors: Errors = {}
        self.state = args.work / "checkpoint.pt"

    def save(self) -> None:
        """Write the checkpoint, replacing the last one at once."""
        part = self.state.with_suffix(".part")
        content: dict[str, Any] = {
            "net": self.net.state_dict(),
            "mean": self.mean,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "place": (self.step, self.tokens, self.chunk, self.seconds),
            "errors": self.errors,
        }
        torch.save(content, part)
        part.replace(self.state)

    def load(self) -> None:
        """Go on from the checkpoint, at the beginning of the next chunk of text."""
        content = torch.load(self.state, map_location=self.args.device)
        self.net.load_state_dict(content["net"])
        self.mean = content["mean"]
        for optimizer, state in zip(self.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step, self.tokens, self.chunk, self.seconds = content["place"]
        self.errors = content["errors"]
        self.chunk += 1

    @property
    def share(self) -> float:
        """How much of the run is done, 0 to 1."""
        if self.args.minutes:
            return self.seconds / 60 / self.args.minutes
        return self.tokens / self.args.tokens

    def part(self, prefix: Tensor, batch: Batch, count: int, whole: int) -> tuple[Tensor, Any]:
        """Losses and gradients of one worker's share of a batch."""
        with torch.autocast(self.args.device, dtype=torch.bfloat16):
            guide = self.share < GUIDED_UNTIL
            losses = self.net.loss(prefix, batch.ids, batch.targets, batch.notes, guide=guide)
        losses = losses / losses.new_tensor((count, count, whole))
        loss = losses[0] + NOTE_WEIGHT * losses[1] + GUIDE_WEIGHT * losses[2]
        return losses.detach(), torch.autograd.grad(
            loss, [p for _, p in self.named], materialize_grads=True
        )

    def learn(self, prefix: Tensor, batch: Batch) -> list[float]:
        """One step; return its losses: of what is written, noted, and looked at.

        Every worker is one thread with its rows of the batch: they meet once a step and not at
        every operation, which a machine shared with others rewards.
        """
        count, prefix = int((batch.targets >= 0).sum()), prefix[:0] if batch.bare else prefix
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate(self.share, self.step)
        pieces = min(self.args.workers, len(batch.ids))
        jobs = [
            self.workers.submit(self.part, prefix, batch.every(pieces, k), count, batch.ids.numel())
            for k in range(pieces)
        ]
        losses, gradients = zip(*(job.result() for job in jobs), strict=True)
        for (_, p), *parts in zip(self.named, *gradients, strict=True):
            p.grad = sum(parts[1:], start=parts[0])
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0, error_if_nonfinite=True)
        for job in [self.workers.submit(optimizer.step) for optimizer in self.optimizers]:
            job.result()
        self.step += 1
        self.tokens += batch.ids.numel()
        weight = min(0.995, self.step / (self.step + 20))
        with torch.no_grad():
            for name, p in self.named:
                self.mean[name].lerp_(p, 1.0 - weight)
        return [float(loss) for loss in torch.stack(losses).sum(0)]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the averaged weights, and learn nothing."""
        kept = {name: p.detach().clone() for name, p in self.named}
        with torch.no_grad(), torch.autocast(self.args.device, dtype=torch.bfloat16):
            for name, p in self.named:
                p.copy_(self.mean[name])
            yield
            for name, p in self.named:
                p.copy_(kept[name])

    def check(self, prefix: Tensor, held: dict[str, Batch]) -> dict[str, list[float]]:
        """Losses on held-out samples, by kind: of what is written, and of what is noted."""
        found: dict[str, list[float]] = {}
        with self.averaged():
            for kind, batch in held.items():
                before = prefix[:0] if batch.bare else prefix
                losses = self.net.loss(before, batch.ids, batch.targets, batch.notes)
                counts = ((batch.targets >= 0).sum(), (batch.notes >= 0).sum().clamp(min=1))
                found[kind] = [
                    round(float(loss / count), 4)
                    for loss, count in zip(losses[:2], counts, strict=True)
                ]
        return found

    def calibrate(self, prefix: Tensor, tokenizer: PreTrainedTokenizerFast) -> Errors:
        """How often the teachers of closed questions shall err from now on, by kind and level.

        So often that the model, at its present skill, gives a right answer with a probability
        of `RIGHT`: where it knows less than that, it is taught no errors.
        """
        rates: dict[tuple[str, int], float] = {}
        with self.averaged():
            for kind, level in product(KINDS, LEVELS):
                rows = [row.to(self.args.device) for row in single_rows(tokenizer, kind, level, 32)]
                known = [
                    float((-self.net.loss(prefix, row.ids, row.targets, row.notes)[0]).exp())
                    for row in rows
                ]
                skill = sum(known) / len(known)
                rates[kind, level] = round(max(0.0, 1.0 - RIGHT / max(skill, RIGHT)), 3)
        return rates
