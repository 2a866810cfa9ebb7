"""The plots that a result asks for, as one PNG with a panel each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tests.bench.measuring import Plot

Rows = Sequence[Mapping[str, Any]]
Lines = Mapping[str, Sequence[tuple[Any, float]]]
"""Points by the name of their line."""

PANEL_IN = (5.2, 4.0)
BAR_IN = 0.2
HEADROOM, ROOM_FOR_LABELS = 1.15, 2.5
APART, MOST_TICKS, FEW = 1.5, 7, 300
WHOLE = 100
SMALLEST, LARGEST = 1e-3, 1e7
"""Between them a number on an axis is written out."""


def draw(plots: Sequence[Plot], rows: Rows, path: Path) -> bool:
    """Write the picture of those plots that have points; return whether there is any."""
    panels = [(plot, found) for plot in plots if (found := lines(plot, rows))]
    if not panels:
        return False
    width, height = PANEL_IN
    bars = [sum(map(len, found.values())) for plot, found in panels if plot.bars]
    height = max([height, *(BAR_IN * count for count in bars)])
    figure, grid = plt.subplots(
        1,
        len(panels),
        figsize=(width * len(panels), height),
        layout="constrained",
        squeeze=False,
    )
    for axes, (plot, found) in zip(grid[0], panels, strict=True):
        _panel(axes, plot, found)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return True


def lines(plot: Plot, rows: Rows) -> Lines:
    """Return what of the rows the plot shows; what has no number is left out."""
    found: defaultdict[str, list[tuple[Any, float]]] = defaultdict(list)
    for row in rows:
        if not all(_is_like(row.get(name), wanted) for name, wanted in plot.where.items()):
            continue
        for y in plot.y:
            if _drawable(row.get(plot.x), row.get(y), plot):
                parts = [_named(name, row.get(name)) for name in plot.by]
                parts += [y] if len(plot.y) > 1 or not parts else []
                found[", ".join(parts)].append((row[plot.x], row[y]))
    return found


def _named(column: str, value: Any) -> str:
    """A text says what it is; a number needs its column."""
    return f"{value} {column}" if isinstance(value, int | float) else str(value)


def _is_like(value: Any, wanted: Any) -> bool:
    return fnmatchcase(str(value), wanted) if isinstance(wanted, str) else bool(value == wanted)


def _drawable(x: Any, y: Any, plot: Plot) -> bool:
    """Whether there is a number, and one that its axis has: a logarithmic one begins above 0."""
    if x is None or not isinstance(y, int | float):
        return False
    return not ((plot.log_x and x <= 0) or (plot.log_y and y <= 0))


def _panel(axes: Axes, plot: Plot, found: Lines) -> None:
    (_bars if plot.bars else _curves)(axes, found)
    if plot.limit is not None:
        (axes.axvline if plot.bars else axes.axhline)(
            plot.limit, color="black", linestyle="--", linewidth=1, label=f"bar {plot.limit:g}"
        )
    unit = plot.unit or ", ".join(plot.y)
    axes.set_title(plot.title)
    axes.set_xlabel(unit if plot.bars else plot.x)
    axes.set_ylabel("" if plot.bars else unit)
    axes.grid(visible=True, alpha=0.3)
    if len(found) > 1 or plot.limit is not None:
        axes.legend(frameon=False, fontsize="small")
    values = [y for points in found.values() for _, y in points]
    across, along = (axes.xaxis, axes.yaxis) if plot.bars else (axes.yaxis, axes.xaxis)
    _scale(axes, across, [*values, plot.limit or 0.0], logarithmic=plot.log_y)
    places = [x for points in found.values() for x, _ in points]
    if not plot.bars and not any(isinstance(x, str) for x in places):
        _scale(axes, along, places, logarithmic=plot.log_x)
        if plot.log_x and len(measured := _apart(places)) <= MOST_TICKS:
            along.set_major_locator(FixedLocator(measured))
    if plot.bars and plot.log_y:
        axes.set_xlim(right=ROOM_FOR_LABELS * max(values))


def _scale(axes: Axes, axis: Axis, values: Sequence[float], *, logarithmic: bool) -> None:
    """Scale an axis, a linear one from 0, with numbers as people write them."""
    name = "x" if axis is axes.xaxis else "y"
    if logarithmic:
        axes.set(**{f"{name}scale": "log"})
        positive = [value for value in values if value > 0]
        few = max(positive) < FEW * min(positive)
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        axis.set_minor_formatter(NullFormatter())
    else:
        axes.set(**{f"{name}lim": (0, HEADROOM * max(values))})
        axis.set_major_locator(MaxNLocator(6))
    axis.set_major_formatter(FuncFormatter(_written))


def _apart(values: Sequence[float]) -> list[float]:
    """Return values whose labels do not cover each other on a logarithmic axis."""
    found: list[float] = []
    for value in sorted(value for value in values if value > 0):
        if not found or value >= APART * found[-1]:
            found.append(value)
    return found


def _curves(axes: Axes, found: Lines) -> None:
    names = {x for points in found.values() for x, _ in points if isinstance(x, str)}
    if len(names) >= MOST_TICKS:
        axes.tick_params(axis="x", labelsize="small", rotation=40)
    for number, (name, points) in enumerate(found.items()):
        ordered = points if isinstance(points[0][0], str) else sorted(points)
        axes.plot(
            [x for x, _ in ordered],
            [y for _, y in ordered],
            marker="os^Dvph"[number % 7],
            markersize=5,
            label=name,
        )


def _bars(axes: Axes, found: Lines) -> None:
    """Draw a group of bars for each name, the first on top."""
    names = list(dict.fromkeys(str(x) for points in found.values() for x, _ in points))
    thickness = 0.8 / len(found)
    for number, (line, points) in enumerate(found.items()):
        at = [names.index(str(x)) + thickness * (number - (len(found) - 1) / 2) for x, _ in points]
        drawn = axes.barh(at, [y for _, y in points], height=0.9 * thickness, label=line)
        axes.bar_label(drawn, fmt=_written, fontsize="small", padding=3)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()


def _written(value: float, _: object = None) -> str:
    if value and not SMALLEST <= abs(value) < LARGEST:
        return f"{value:.0e}"
    return f"{value:,.0f}" if abs(value) >= WHOLE else f"{value:.3g}"
