"""`python tests/faults/run.py`: kill every process of a system under load, by kill -9, in turn.

The last line is the verdict; exit code 1 when anything was lost, doubled, late or not back.
"""

import argparse
import sys

import uvloop

from tests.faults.campaign import Plan, Report, run


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    normal = Plan()
    parser.add_argument("--deliberations", type=int, default=normal.deliberations)
    parser.add_argument("--per-second", type=float, default=normal.per_second)
    parser.add_argument("--latency-ms", type=float, default=normal.latency_ms)
    parser.add_argument("--kills", type=int, default=normal.kills)
    parser.add_argument("--only", metavar="CHILD", help="kill this one each time")
    arguments = parser.parse_args()
    plan = Plan(
        deliberations=arguments.deliberations,
        per_second=arguments.per_second,
        latency_ms=arguments.latency_ms,
        kills=arguments.kills,
        victims=(arguments.only,) if arguments.only else normal.victims,
    )
    report = uvloop.run(run(plan))
    print(as_text(report))
    return int(not report.clean)


def as_text(report: Report) -> str:
    """The report as people read it."""
    plan, verdict = report.plan, report.verdict
    lines = [
        (
            f"{plan.deliberations} deliberations of {plan.seats} seats at {plan.latency_ms:g} ms,"
            f" {plan.per_second:g} per second, {len(report.kills)} times kill -9,"
            f" {report.seconds:.0f} s"
        ),
        "",
        "  at s  killed       back after s",
        "  ----  -----------  ------------",
    ]
    for kill in report.kills:
        back = "NOT BACK" if kill.back_s is None else f"{kill.back_s:.2f}"
        lines.append(f"{kill.at_s:6.1f}  {kill.victim:11}  {back:>12}")
    outcomes = ", ".join(f"{count} {status}" for status, count in sorted(verdict.outcomes.items()))
    lines += [
        "",
        (
            f"accepted {verdict.accepted} of {verdict.sent}"
            f" ({verdict.repeated} asked more than once); outcomes: {outcomes}"
        ),
        (
            f"acknowledged after, ms: p50 {verdict.ack_p50_ms:.1f}, p99 {verdict.ack_p99_ms:.0f},"
            f" max {verdict.ack_max_ms:.0f} (from the intended time)"
        ),
        f"public events that this client missed while the server was down: {verdict.events_missed}",
    ]
    for name in ("lost", "doubled", "late", "seats_missing", "strangers"):
        if found := getattr(verdict, name):
            lines.append(f"{name}: {', '.join(found[:10])}")
    lines.append(
        f"{sum(verdict.outcomes.values())} outcomes: {len(verdict.lost)} lost,"
        f" {len(verdict.doubled)} doubled, {len(verdict.late)} late,"
        f" {verdict.never_accepted} never accepted"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
