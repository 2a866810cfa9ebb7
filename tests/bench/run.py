"""`python tests/bench/run.py [NAME…]`: run benchmarks one after the other, all by default.

Each answers one question, prints a small table, and keeps its figures in tests/bench/results/.
Exit code 1 when a bar was missed, unless --report.
"""

import argparse
import importlib
import sys

import uvloop

from tests.bench import measuring

NAMES = (
    "ack_latency",
    "arrivals",
    "broken_seat",
    "council_scaling",
    "cpu_cost",
    "durability",
    "idle",
    "prefix_cache",
    "protocols",
)


def main() -> int:
    """Run what is named on the command line."""
    arguments = _arguments()
    options = measuring.Options(repeats=arguments.repeats, quick=arguments.quick)
    missed = 0
    for name in arguments.names or NAMES:
        bench = importlib.import_module(f"tests.bench.{name}")
        before = measuring.hardware()
        result = uvloop.run(bench.measure(options))
        measuring.report(result, options, before)
        missed += sum(not bar.met for bar in result.bars)
    return int(missed > 0 and not arguments.report)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--repeats", type=int, default=0, help="instead of each benchmark's own")
    parser.add_argument("--quick", action="store_true", help="little work: does it run at all?")
    parser.add_argument("--report", action="store_true", help="a missed bar is no failure")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in NAMES:
            parser.error(f"no benchmark {name!r}; there are: {', '.join(NAMES)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
