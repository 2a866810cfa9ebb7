"""Train the small model from nothing but this repository: `python deploy/models/train.py`.

Draws its own text, learns the tokenizer, trains, and writes a folder that vLLM loads. A run that
was stopped goes on where it was with the same command.
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from corpus.closed import ERROR_RATE
from curve import draw_curve
from data import held_out, prefix_ids, stream
from export import export
from network import SIZES, Nano
from tokens import learn_tokenizer, load_tokenizer
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=HERE / "nano", help="folder to write the model to"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=HERE / "runs" / "nano",
        help="folder of the run: checkpoint, log",
    )
    parser.add_argument(
        "--tokens", type=float, default=12e6, help="tokens to train on, prompts included"
    )
    parser.add_argument("--batch", type=int, default=3072, help="tokens in a step")
    parser.add_argument(
        "--easy-chunks", type=int, default=2, help="chunks of short samples at the beginning"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=300, help="steps between checkpoints")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="threads; one on a GPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--export-only", action="store_true", help="write the model as of the last checkpoint"
    )
    return parser.parse_args()


def rate(share: float, step: int) -> float:
    """The learning rate as a share of its peak: warm up, hold, and fall over the last two fifths."""
    return min(1.0, (step + 1) / 100, max(0.0, (1.0 - share) / 0.4) + 0.01)


class Run:
    """Everything a run can be resumed from."""

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(args.seed)
        self.args = args
        self.net = Nano().to(args.device)
        self.named = list(self.net.named_parameters())
        matrices = [p for name, p in self.named if p.dim() == 2 and "embed" not in name]
        others = [p for name, p in self.named if p.dim() != 2 or "embed" in name]
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
        self.state = args.work / "checkpoint.pt"

    def save(self) -> None:
        """Write the checkpoint, replacing the last one at once."""
        part = self.state.with_suffix(".part")
        content: dict[str, Any] = {
            "net": self.net.state_dict(),
            "mean": self.mean,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "place": (self.step, self.tokens, self.chunk, self.seconds),
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
        self.chunk += 1

    def part(self, prefix: Tensor, ids: Tensor, targets: Tensor, count: int) -> tuple[float, Any]:
        """Loss and gradients of one worker's share of a batch."""
        with torch.autocast(self.args.device, dtype=torch.bfloat16):
            loss = self.net.loss(prefix, ids, targets) / count
        return float(loss.detach()), torch.autograd.grad(loss, [p for _, p in self.named])

    def learn(self, prefix: Tensor, ids: Tensor, targets: Tensor) -> float:
        """One step; return its loss.

        Every worker is one thread with its rows of the batch: they meet once a step and not at
        every operation, which a machine shared with others rewards.
        """
        share, count = self.tokens / self.args.tokens, int((targets >= 0).sum())
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate(share, self.step)
        pieces = range(min(self.args.workers, len(ids)))
        jobs = [
            self.workers.submit(
                self.part, prefix, ids[k :: len(pieces)], targets[k :: len(pieces)], count
            )
            for k in pieces
        ]
        losses, gradients = zip(*(job.result() for job in jobs), strict=True)
        for (_, p), *parts in zip(self.named, *gradients, strict=True):
            p.grad = sum(parts[1:], start=parts[0])
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for job in [self.workers.submit(optimizer.step) for optimizer in self.optimizers]:
            job.result()
        self.step += 1
        self.tokens += ids.numel()
        weight = min(0.995, self.step / (self.step + 20))
        with torch.no_grad():
            for name, p in self.named:
                self.mean[name].lerp_(p, 1.0 - weight)
        return float(sum(losses))

    def check(self, prefix: Tensor, held: dict[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Loss on held-out samples, by kind, with the averaged weights."""
        kept = {name: p.detach().clone() for name, p in self.named}
        losses: dict[str, float] = {}
        with torch.no_grad(), torch.autocast(self.args.device, dtype=torch.bfloat16):
            for name, p in self.named:
                p.copy_(self.mean[name])
            for kind, (ids, targets) in held.items():
                total = float(self.net.loss(prefix, ids, targets))
                losses[kind] = round(total / int((targets >= 0).sum()), 4)
            for name, p in self.named:
                p.copy_(kept[name])
        return losses


def main() -> None:
    """Train to the end, or go on with a run, and export."""
    args = options()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.device == "cuda":
        args.workers = 1
    torch.set_num_threads(1)
    vocabulary = args.work / "tokenizer"
    if not vocabulary.exists():
        print("learning the tokenizer", flush=True)
        learn_tokenizer(SIZES["vocab_size"], 20_000, args.seed).save_pretrained(vocabulary)
    tokenizer = load_tokenizer(vocabulary)
    run = Run(args)
    if run.state.exists():
        run.load()
        print(f"going on at step {run.step}, chunk {run.chunk}", flush=True)
    if args.export_only:
        finish(run, tokenizer)
        return
    prefix = prefix_ids(tokenizer).to(args.device)
    held = {
        k: (b.ids.to(args.device), b.targets.to(args.device))
        for k, b in held_out(tokenizer, 48).items()
    }
    log = (args.work / "train.jsonl").open("a")
    bar = tqdm(
        total=int(args.tokens),
        initial=run.tokens,
        unit="tok",
        unit_scale=True,
        mininterval=2,
        smoothing=0.05,
    )
    recent, began = 0.0, time.monotonic() - run.seconds
    for number, batch in stream(tokenizer, args.seed, run.chunk, args.easy_chunks, args.batch):
        if run.tokens >= args.tokens:
            break
        loss = run.learn(prefix, batch.ids.to(args.device), batch.targets.to(args.device))
        run.chunk, run.seconds = number, time.monotonic() - began
        recent = 0.95 * recent + 0.05 * loss if recent else loss
        bar.update(batch.ids.numel())
        bar.set_postfix(loss=f"{recent:.3f}", step=run.step)
        if run.step % 20 == 0:
            entry: dict[str, Any] = {
                "step": run.step,
                "tokens": run.tokens,
                "seconds": round(run.seconds),
                "loss": round(recent, 4),
            }
            if run.step % args.save_every == 0:
                entry["held_out"] = run.check(prefix, held)
                run.save()
                tqdm.write(json.dumps(entry))
            log.write(json.dumps(entry) + "\n")
            log.flush()
    bar.close()
    log.close()
    run.save()
    finish(run, tokenizer)


def finish(run: Run, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write the folder: model, card, log, curve."""
    out, log = run.args.out, (run.args.work / "train.jsonl").read_text()
    export(run.mean, tokenizer, out)
    (out / "training-log.jsonl").write_text(log)
    draw_curve(log.splitlines(), out / "loss.png")
    told = (
        f"This one: {run.tokens / 1e6:.1f} million tokens (prompts included, the shared system message"
        f" not), {run.step:,} steps, {run.seconds / 60:.0f} minutes on {run.args.workers} threads."
    )
    card = (HERE / "card.md").read_text()
    values = {
        "parameters": f"{sum(p.numel() for _, p in run.named) / 1e6:.1f}",
        "context": f"{SIZES['max_position_embeddings']:,}",
        "error_rates": ", ".join(f"{100 * share:.0f} %" for share in ERROR_RATE.values()),
        "vocabulary": f"{SIZES['vocab_size']:,}",
        "batch": f"{run.args.batch:,}",
        "run": told,
    }
    for name, value in values.items():
        card = card.replace("{" + name + "}", value)
    (out / "README.md").write_text(card)
    print(f"wrote {out.name}: {told}")


if __name__ == "__main__":
    main()
