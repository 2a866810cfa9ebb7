"""Train the small model from nothing but this repository: `python deploy/models/train.py`.

Draws its own text, learns the tokenizer, trains, and writes a folder that vLLM loads. A run that
was stopped goes on where it was with the same command.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from card import filled_card
from corpus.mix import CLOSING_FROM, mixture
from curve import draw_curve
from data import chunk, held_out, prefix_ids
from export import export
from network import SIZES
from run import Run
from tokens import learn_tokenizer, load_tokenizer
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE / "nano", help="folder for the model")
    parser.add_argument(
        "--work",
        type=Path,
        default=HERE / "runs" / "nano",
        help="folder of the run: checkpoint, log",
    )
    parser.add_argument("--tokens", type=float, default=24e6, help="to train on, with prompts")
    parser.add_argument("--minutes", type=float, help="to train for, in place of --tokens")
    parser.add_argument("--batch", type=int, default=3072, help="tokens in a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=300, help="steps between checkpoints")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="threads; one on a GPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--export-only", action="store_true", help="write the model as of the last checkpoint"
    )
    return parser.parse_args()


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
    train(run, tokenizer)
    run.save()
    finish(run, tokenizer)


def train(run: Run, tokenizer: PreTrainedTokenizerFast) -> None:
    """Draw chunk after chunk and learn from them until the run is done."""
    args, prefix = run.args, prefix_ids(tokenizer).to(run.args.device)
    held = {k: batch.to(args.device) for k, batch in held_out(tokenizer, 16).items()}
    bar = tqdm(
        total=None if args.minutes else int(args.tokens),
        initial=run.tokens,
        unit="tok",
        unit_scale=True,
        mininterval=5,
        smoothing=0.05,
    )
    recent, began = list[float](), time.monotonic() - run.seconds
    with bar, (args.work / "train.jsonl").open("a") as log:

        def tell(**entry: Any) -> None:
            told = {"step": run.step, "tokens": run.tokens, "seconds": round(run.seconds)}
            log.write(json.dumps(told | entry) + "\n")
            log.flush()

        while run.share < 1.0:
            if run.share >= CLOSING_FROM and not run.errors:
                run.errors = run.calibrate(prefix, tokenizer)
                tell(errors={f"{kind} {level}": e for (kind, level), e in run.errors.items()})
            name, weights = f"{args.seed}:{run.chunk}", mixture(run.share)
            for batch in chunk(tokenizer, name, weights, args.batch, run.errors):
                losses = run.learn(prefix, batch.to(args.device))
                run.seconds = time.monotonic() - began
                recent = [
                    0.95 * old + 0.05 * new
                    for old, new in zip(recent or losses, losses, strict=True)
                ]
                bar.update(batch.ids.numel())
                bar.set_postfix(loss=f"{recent[0]:.3f}", done=f"{100 * run.share:.0f} %")
                if run.step % args.save_every == 0:
                    tell(loss=round(recent[0], 4), held_out=run.check(prefix, held))
                    run.save()
                elif run.step % 20 == 0:
                    tell(loss=round(recent[0], 4))
                if run.share >= 1.0:
                    break
            run.chunk += 1


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
    (out / "README.md").write_text(filled_card(told, run.args.batch, run.errors))
    print(f"wrote {out.name}: {told}")


if __name__ == "__main__":
    main()
