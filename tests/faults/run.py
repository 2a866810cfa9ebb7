"""`just faults [ROW…]`: hurt a system under load, and count what became of its deliberations.

    just faults                     every row of the fault table once, in about twelve minutes;
                                    `--engine`: those with a real model too
    just faults P1 L3               these rows; `--times 20` injects each so often
    just faults list                the rows
    just faults storm kills=100     everybody dies at moments of its own, several at a time
    just faults campaign kills=1000 a recorded campaign: every row (or those named), as often as
                                    its weight says, then a storm until there were so many kills
                                    and 50,000 deliberations; the table goes to
                                    tests/faults/results/

Exit code 1 when anything was lost, doubled, late or not back.
"""

import argparse
import logging
import sys
from collections.abc import Sequence

import uvloop

from tests.faults import report, storm
from tests.faults.rows import ROWS
from tests.faults.rows.row import Row
from tests.faults.scene import Load
from tests.faults.table import Finding, run_rows

CAMPAIGN = Load(per_second=50.0, pause_s=30.0)
"""What a recorded campaign sends, and how long it stops who is stopped."""


def main() -> int:
    """Run what the command line asks for."""
    arguments = _arguments()
    logging.basicConfig(level=logging.WARNING if arguments.verbose else logging.CRITICAL)
    what, *others = arguments.rows or ["all"]
    normal = CAMPAIGN if what == "campaign" else Load()
    load = Load(
        per_second=arguments.per_second or normal.per_second,
        latency_ms=arguments.latency_ms or normal.latency_ms,
        pause_s=arguments.pause_s or normal.pause_s,
    )
    usual = [row for row in ROWS if not row.slow or arguments.engine]
    if what == "list":
        print("\n".join(f"{row.id:4} {row.fault}" for row in ROWS))
        return 0
    if what == "campaign":
        rows = chosen(others) or usual
        findings = uvloop.run(_campaign(rows, load, arguments.kills, arguments.deliberations))
        report.keep(findings, load)
    elif what == "storm":
        findings = [uvloop.run(storm.storm(load, arguments.kills, 0, told))]
    else:
        rows = chosen(arguments.rows) or usual
        findings = uvloop.run(run_rows(rows, load, lambda _: arguments.times, told))
    print(f"\n{report.table(findings)}\n\n{report.last_line(findings)}")
    return int(not all(finding.clean for finding in findings))


async def _campaign(
    rows: Sequence[Row], load: Load, kills: int, deliberations: int
) -> list[Finding]:
    def often(row: Row) -> int:
        return max(1, round(row.weight * kills / 100))

    findings = await run_rows(rows, load, often, told)
    kills_left = kills - sum(finding.kills for finding in findings)
    deliberations_left = deliberations - report.deliberations(findings)
    findings.append(await storm.storm(load, kills_left, deliberations_left, told))
    return findings


def chosen(ids: list[str]) -> list[Row]:
    """The rows named, in the table's order. Raises SystemExit for one that there is not."""
    known = {row.id for row in ROWS}
    if unknown := [each for each in ids if each not in known]:
        raise SystemExit(f"no row {', '.join(unknown)}; `just faults list` shows them")
    return [row for row in ROWS if row.id in ids]


def told(finding: Finding) -> None:
    """Say how a row ended, as soon as it has."""
    print(report.line(finding), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help="their ids; or list, storm, campaign"
    )
    parser.add_argument("--times", type=int, default=1, help="injections of each row")
    parser.add_argument("--kills", type=int, default=1_000, help="of a campaign")
    parser.add_argument("--deliberations", type=int, default=50_000, help="of a campaign, at least")
    parser.add_argument("--engine", action="store_true", help="with the rows of the real engine")
    parser.add_argument("--verbose", action="store_true", help="what the system says meanwhile")
    parser.add_argument("--per-second", type=float, help="deliberations sent")
    parser.add_argument("--latency-ms", type=float, help="of the agents")
    parser.add_argument("--pause-s", type=float, help="how long a fault lasts that lasts")
    return parser.parse_args([flag(word) for word in sys.argv[1:]])


def flag(word: str) -> str:
    """`kills=1000`, as recipes of just take their arguments, is `--kills=1000`."""
    return f"--{word.replace('_', '-')}" if "=" in word and word[0].isalpha() else word


if __name__ == "__main__":
    sys.exit(main())
