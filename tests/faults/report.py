"""Findings as people read them, and the files that are kept of a campaign."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.bench.measuring import hardware, versions
from tests.faults.scene import Load
from tests.faults.table import Finding

RESULTS = Path(__file__).parent / "results"
COLUMNS = (
    *("id", "fault", "injected", "kills", "deliberations"),
    *("lost", "doubled", "late > 1 s", "back median s", "back max s"),
)


def row(finding: Finding) -> tuple[str, ...]:
    """A finding's line of the table."""
    verdict = finding.verdict
    if verdict is None:
        why = finding.skipped and f"not run: {finding.skipped}"
        return (finding.id, f"{finding.fault} ({why or finding.problems[0]})", *("–" * 8))
    counts = (finding.injections, finding.kills, verdict.accepted)
    wrong = (len(verdict.lost), len(verdict.doubled), len(verdict.late))
    times = (_seconds(finding.median_s), _seconds(finding.max_s))
    return (finding.id, finding.fault, *map(str, counts), *map(str, wrong), *times)


def table(findings: Sequence[Finding]) -> str:
    """The whole table, in Markdown."""
    lines = [COLUMNS, *map(row, findings), total(findings)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(_joined(line, widths) for line in (lines[0], rule, *lines[1:]))


def total(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The last line of the table."""
    verdicts = [finding.verdict for finding in findings if finding.verdict is not None]
    known = [each for f in findings for each in f.recoveries if each is not None]
    return (
        *("", "together"),
        str(sum(finding.injections for finding in findings)),
        str(sum(finding.kills for finding in findings)),
        str(deliberations(findings)),
        str(sum(len(verdict.lost) for verdict in verdicts)),
        str(sum(len(verdict.doubled) for verdict in verdicts)),
        str(sum(len(verdict.late) for verdict in verdicts)),
        *("", _seconds(max(known, default=None))),
    )


def deliberations(findings: Sequence[Finding]) -> int:
    """How many were accepted in all."""
    return sum(finding.verdict.accepted for finding in findings if finding.verdict is not None)


def line(finding: Finding) -> str:
    """One finding with everything that is wrong about it, for whoever watches."""
    verdict = finding.verdict
    if verdict is None:
        return " ".join(row(finding)[:2])
    outcomes = ", ".join(f"{count} {status}" for status, count in sorted(verdict.outcomes.items()))
    said = [
        f"{finding.id:4}{'ok' if finding.clean else 'WRONG':6}{finding.seconds:5.0f} s ",
        f"{finding.fault}: {finding.injections} ×, back after {_seconds(finding.median_s)} s",
        f" (max {_seconds(finding.max_s)}); {outcomes}; {verdict.repeated} asked again,",
        f" ack max {verdict.ack_max_ms / 1000:.1f} s",
        f", latest {verdict.latest_ms} ms after its deadline" if verdict.latest_ms else "",
    ]
    wrong = {
        name: getattr(verdict, name)
        for name in ("lost", "doubled", "late", "seats_missing", "strangers")
    }
    said += [
        f"\n     {name}: {len(found)}: {', '.join(found[:5])}"
        for name, found in wrong.items()
        if found
    ]
    if verdict.lost_where:
        said.append(f"\n     lost where: {verdict.lost_where}")
    if verdict.never_accepted:
        said.append(f"\n     never accepted: {verdict.never_accepted}")
    said += [f"\n     {problem}" for problem in finding.problems]
    return "".join(said)


def last_line(findings: Sequence[Finding]) -> str:
    """The verdict in one line."""
    kills, done, lost, doubled, late = total(findings)[3:8]
    wrong = [finding.id for finding in findings if not finding.clean]
    verdict = f"; wrong: {', '.join(wrong)}" if wrong else ""
    return (
        f"{kills} kills, {done} deliberations: {lost} lost, {doubled} doubled, {late} late{verdict}"
    )


def keep(findings: Sequence[Finding], load: Load) -> None:
    """Write `campaign.json` and `campaign.md`."""
    RESULTS.mkdir(exist_ok=True)
    kept = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(("python", "tests/faults/run.py", *sys.argv[1:])),
        "versions": versions(),
        "hardware": hardware(),
        "load": load,
        "findings": findings,
    }
    encoded = msgspec.json.format(msgspec.json.encode(kept), indent=1)
    (RESULTS / "campaign.json").write_bytes(encoded + b"\n")
    words = f"`{kept['command']}`, {kept['at']}\n\n{table(findings)}\n\n{last_line(findings)}\n"
    (RESULTS / "campaign.md").write_text(words)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"
