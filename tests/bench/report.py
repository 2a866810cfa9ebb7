"""`python tests/bench/report.py [FOLDER]`: write REPORT.md and its pictures from kept results.

Every `*.json` of the folder has a section, in the order of tests/bench/run.py: its question, its
table, its bars, its picture, and where and how it was measured. What is not there is told as not
run. Nothing is computed here: all figures are the benchmarks' own.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tests.bench import plots
from tests.bench.measuring import RESULTS, Bar, Plot, columns, is_numeric, text
from tests.bench.pictures import draw
from tests.bench.run import BENCHES

REPORT = "REPORT.md"
ORDER = {bench.name: place for place, bench in enumerate(BENCHES)}


BUSY = frozenset(("load_average", "stolen_s"))
"""What of the hardware tells how busy it was with other things."""


class Kept(Struct, frozen=True, kw_only=True):
    """A result as `measuring.report` keeps it."""

    bench: str
    question: str
    at: str
    command: str
    versions: dict[str, str]
    hardware: dict[str, Any]
    rows: list[dict[str, Any]]
    bars: list[Bar] = []
    plots: list[Plot] = []
    notes: list[str] = []

    @property
    def machine(self) -> str:
        """Where it ran and with what, but for how busy the machine was."""
        where = {name: said for name, said in self.hardware.items() if name not in BUSY}
        parts = [f"{name.replace('_', ' ')} {said}" for name, said in where.items() if said]
        return "; ".join((", ".join(parts), ", ".join(map(" ".join, self.versions.items()))))


def read(folder: Path) -> list[Kept]:
    """Return the kept results in the order of the benchmarks, quick ones left out."""
    files = [file for file in folder.glob("*.json") if not file.name.endswith(".quick.json")]
    found = [msgspec.json.decode(file.read_bytes(), type=Kept) for file in files]
    return sorted(found, key=lambda kept: (ORDER.get(kept.bench, len(ORDER)), kept.bench))


def pictures(results: Sequence[Kept], folder: Path) -> dict[str, str]:
    """Draw what the results ask for; return the pictures there are, by benchmark."""
    found = {}
    for kept in results:
        file = folder / f"{kept.bench}.png"
        asked = kept.plots or plots.of(kept.bench, kept.rows)
        if draw(asked, kept.rows, file) or file.exists():
            found[kept.bench] = file.name
    return found


def markdown(results: Sequence[Kept], images: Mapping[str, str], pages: Sequence[str] = ()) -> str:
    """Return the whole report; `pages` are others beside it, written by hand."""
    machines = list(dict.fromkeys(kept.machine for kept in results))
    parts = [
        "# What was measured\n",
        "Made by `just bench` or `just bench-full` (`tests/bench/report.py`) from the JSON files"
        " beside it. Medians over repeats; whatever is compared ran interleaved in the same run.\n",
        *(f"See also [{page}]({page}).\n" for page in pages),
        *_bars(results),
        "## Where\n",
        *(f"- **{_letter(place)}**: {said}" for place, said in enumerate(machines)),
        "",
    ]
    for kept in results:
        parts += _section(kept, _letter(machines.index(kept.machine)), images.get(kept.bench))
    return "\n".join([*parts, *_missing(results)])


def _letter(place: int) -> str:
    return chr(ord("A") + place)


def _bars(results: Sequence[Kept]) -> Iterator[str]:
    held = [(kept, bar) for kept in results for bar in kept.bars]
    missed = sum(not bar.met for _, bar in held)
    yield f"## Bars: {len(held) - missed} met, {missed} missed\n"
    yield from table(
        [
            {
                "": "met" if bar.met else "**missed**",
                "bar": bar.text,
                "measured": f"{bar.value:.3g}",
                "limit": f"{'≥' if bar.at_least else '≤'} {bar.limit:g}",
                "by": f"[{kept.bench}](#{kept.bench})",
            }
            for kept, bar in held
        ]
    )
    yield ""


def _section(kept: Kept, machine: str, image: str | None) -> Iterator[str]:
    yield f"## {kept.bench}\n"
    yield f"{kept.question}\n"
    yield from table(kept.rows)
    yield ""
    for bar in kept.bars:
        yield f"- {'met' if bar.met else '**missed**'}: {str(bar)[6:].strip()}"
    for note in kept.notes:
        yield f"- {note}"
    load = ", ".join(map(str, kept.hardware.get("load_average", ())))
    stolen = kept.hardware.get("stolen_s")
    busy = f"load average before {load or '?'}"
    if stolen is not None:
        busy += f", stolen by its host meanwhile {stolen:.1f} s of processor time"
    yield f"- `{kept.command}`, {kept.at}, machine {machine}, {busy}\n"
    if image:
        yield f"![{kept.bench}]({image})\n"


def _missing(results: Sequence[Kept]) -> Iterator[str]:
    there = {kept.bench for kept in results}
    absent = [bench for bench in BENCHES if bench.name not in there]
    if absent:
        yield "## Not run\n"
        yield from (f"- {bench.name}: {bench.answers}" for bench in absent)
        yield ""


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return rows as lines of Markdown, numbers to the right."""
    names = columns(rows)
    if not names:
        return ["(no rows)"]
    rule = ["--:" if is_numeric(rows, name) else ":--" for name in names]
    cells = [[text(row.get(name)).replace("|", "\\|") for name in names] for row in rows]
    return [f"| {' | '.join(line)} |" for line in ([*names], rule, *cells)]


def write(folder: Path = RESULTS) -> Path:
    """Write the report of a folder and return its file."""
    results = read(folder)
    file = folder / REPORT
    pages = sorted(page.name for page in folder.glob("*.md") if page != file)
    file.write_text(markdown(results, pictures(results, folder), pages))
    return file


if __name__ == "__main__":
    print(f"written: {os.path.relpath(write(*map(Path, sys.argv[1:2])))}")
