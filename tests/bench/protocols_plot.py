"""The picture of the protocols' benchmark: accuracy against tokens, a panel a level."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

Line = Mapping[str, Any]


def draw(lines: Sequence[Line], path: Path) -> None:
    """Write a PNG with one colour a plan, bars for the 95 % interval, and one shared legend."""
    levels = sorted({str(line["level"]) for line in lines})
    figure, panels = plt.subplots(
        1, len(levels), figsize=(3.6 * len(levels), 4.2), sharey=True, layout="constrained"
    )
    for level, axes in zip(levels, panels, strict=True):
        _panel(axes, level, [line for line in lines if str(line["level"]) == level])
    panels[0].set_ylabel("accuracy, 95 % interval")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle("Closed questions, bundled model: accuracy by completion tokens a question")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(axes: Axes, level: str, lines: Sequence[Line]) -> None:
    for number, line in enumerate(sorted(lines, key=lambda each: str(each["plan"]))):
        low, high = line["accuracy"] - line["from"], line["to"] - line["accuracy"]
        axes.errorbar(
            line["tokens"],
            line["accuracy"],
            yerr=[[max(low, 0)], [max(high, 0)]],
            fmt="os^Dvph"[number % 7],
            color=f"C{number}",
            capsize=3,
            label=line["plan"],
        )
    axes.set_title("all levels" if level == "all" else f"level {level}")
    axes.set_xlabel("completion tokens")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1)
    axes.grid(visible=True, alpha=0.3)
