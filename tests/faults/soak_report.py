"""What a soak found, as people read it: a table, a plot, and the files that are kept."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from tests.bench.measuring import hardware, table, versions
from tests.faults.report import RESULTS
from tests.faults.sampling import OF_RESIDENT, QUANTITIES, Sample, Trend
from tests.faults.scene import EVERYBODY, Load
from tests.faults.verdict import Verdict

MEMORY = ("rss_mib", OF_RESIDENT)
GROWTH_PERCENT = 1.0
"""The bar for memory, of what is resident, in an hour."""

OWN_TOLD_AFTER_S = 4_500.0
"""nats-server's own goes up and down by a tenth with what is on its way: the slope of 24 minutes is
uncertain by about half a MiB an hour, as much as the bar, by the scatter of its two-minute medians;
that of 75 by a tenth, since it falls with the power of 1.5."""

FLAT_PER_HOUR = 1.0
"""The bar for everything else: less than one more in an hour."""


class Hurt(Struct, frozen=True):
    """A fault, and when it was injected."""

    at_s: float
    fault: str


class Soak(Struct, frozen=True, kw_only=True):
    """What a soak found."""

    minutes: float
    faults: Sequence[Hurt]
    verdict: Verdict
    trends: Sequence[Trend]
    samples: Sequence[Sample]
    problems: Sequence[str]

    @property
    def growing(self) -> list[Trend]:
        """Trends above their bar."""
        return [each for each in self.trends if not flat(each)]

    @property
    def clean(self) -> bool:
        """Nothing grows, and nothing was lost, doubled or late."""
        return not self.growing and self.verdict.clean and not self.problems


def flat(trend: Trend) -> bool:
    """Tell whether a quantity stays as it is.

    What is resident of nats-server is shown and not judged, as its caches make that go up and down
    (`tests/faults/server_memory.py`); what it holds beside them is, if the soak is long enough.
    """
    if _untold(trend):
        return True
    if trend.quantity in MEMORY:
        return trend.percent_per_hour < GROWTH_PERCENT
    return trend.per_hour < FLAT_PER_HOUR


def as_table(found: Soak) -> str:
    """The trends, those above their bar marked."""
    rows = [
        {
            "process": each.name,
            "quantity": each.quantity,
            "restarts": each.restarts,
            "median": each.median,
            "least": each.least,
            "most": each.most,
            "per hour": each.per_hour,
            "% per hour": each.percent_per_hour,
            "": _mark(each),
        }
        for each in sorted(found.trends, key=lambda each: (each.quantity, each.name))
    ]
    return table(rows)


def _untold(trend: Trend) -> str:
    """Why a quantity is not judged; empty where it is."""
    if trend.quantity == OF_RESIDENT and trend.over_s < OWN_TOLD_AFTER_S:
        return "too short"
    return "no bar" if (trend.name, trend.quantity) == ("nats-server", "rss_mib") else ""


def _mark(trend: Trend) -> str:
    return _untold(trend) or ("" if flat(trend) else "GROWS")


def last_line(found: Soak) -> str:
    """The verdict in one line."""
    verdict = found.verdict
    growing = ", ".join(f"{each.name} {each.quantity}" for each in found.growing) or "nothing"
    return (
        f"{found.minutes:g} minutes, {len(found.faults)} faults, {verdict.accepted} deliberations:"
        f" {len(verdict.lost)} lost, {len(verdict.doubled)} doubled, {len(verdict.late)} late;"
        f" grows: {growing}"
    )


def plot(found: Soak) -> None:
    """Draw every quantity over time, a line for each process."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 12), layout="constrained")
    axes = figure.subplots(len(QUANTITIES), sharex=True)
    for axis, quantity in zip(axes, QUANTITIES, strict=True):
        for hurt in found.faults:
            axis.axvline(hurt.at_s / 60, color="lightgrey", linewidth=0.8)
        for number, name in enumerate(EVERYBODY):
            points = [
                (each.at_s / 60, each.held[quantity])
                for each in found.samples
                if each.name == name and quantity in each.held
            ]
            if points:
                axis.plot(*zip(*points, strict=True), label=name, color=f"C{number}", linewidth=1)
        axis.set_ylabel(
            quantity.replace("rss_mib", "resident MiB")
            .replace("own_mib", "beside caches MiB")
            .replace("fds", "file descr.")
        )
        axis.set_ylim(bottom=0)
    axes[0].legend(ncols=6, fontsize="small", loc="lower center")
    axes[-1].set_xlabel("minutes; a grey line for each fault")
    figure.savefig(RESULTS / "soak.png", dpi=100)


def keep(found: Soak, load: Load) -> None:
    """Write `soak.json`, `soak.md` and `soak.png`."""
    RESULTS.mkdir(exist_ok=True)
    command = " ".join(("python", "tests/faults/soak.py", *sys.argv[1:]))
    kept = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "versions": versions(),
        "hardware": hardware(),
        "load": load,
        **msgspec.structs.asdict(found),
    }
    (RESULTS / "soak.json").write_bytes(msgspec.json.encode(kept) + b"\n")
    words = f"`{command}`, {kept['at']}\n\n```\n{as_table(found)}\n```\n\n{last_line(found)}\n"
    (RESULTS / "soak.md").write_text(words)
    plot(found)
