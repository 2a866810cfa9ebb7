"""Draw the loss curve of a training log."""

import json
from collections.abc import Sequence
from pathlib import Path


def draw_curve(lines: Sequence[str], picture: Path) -> None:
    """Training loss, and held-out loss of every kind of sample, over millions of tokens."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    entries = [json.loads(line) for line in lines]
    figure, axes = plt.subplots(figsize=(7, 4), dpi=90)
    steps = [e for e in entries if "loss" in e]
    axes.plot(
        [e["tokens"] / 1e6 for e in steps],
        [e["loss"] for e in steps],
        color="black",
        label="training",
    )
    checks = [e for e in entries if "held_out" in e]
    for kind in checks[0]["held_out"] if checks else ():
        axes.plot(
            [e["tokens"] / 1e6 for e in checks],
            [e["held_out"][kind][0] for e in checks],
            label=f"held out: {kind}",
        )
    axes.set(
        xlabel="million tokens", ylabel="loss", yscale="log", title="nano: loss per answer token"
    )
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(picture)
    plt.close(figure)
