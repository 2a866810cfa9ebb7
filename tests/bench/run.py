"""`python tests/bench/run.py [NAME…]`: run benchmarks one after the other.

Each answers one question, prints a small table, and keeps its figures in tests/bench/results/.
Without names all run that take minutes; with --full all there are, at all their sizes. Exit code 1
when a bar was missed, unless --report, or when a benchmark failed; the others run all the same.
"""

import argparse
import importlib
import logging
import sys
from pathlib import Path

import uvloop
from msgspec import Struct

from tests.bench import measuring

log = logging.getLogger(__name__)


class Bench(Struct, frozen=True):
    """A module here that has `measure`. `full` ones run only with --full, or by name."""

    name: str
    answers: str
    full: bool = False


BENCHES = (
    Bench("ack_latency", "acknowledgement at 1, 64, 256 in flight beside the floor"),
    Bench("arrivals", "acknowledgement and outcome by arrival rate, up to the knee"),
    Bench("cpu_cost", "processor time of a deliberation by process, beside the floor's", full=True),
    Bench("idle", "cores and memory of a system that nobody asks"),
    Bench("head_to_head", "the same job as others do it: latency, throughput, losses"),
    Bench("seats_scaling", "T(N)/T(1) with seats that all take 200 ms"),
    Bench("replicas", "throughput by dispatchers, collectors and agents"),
    Bench("in_flight", "memory and acknowledgement with up to 10,000 open at a time"),
    Bench("payload", "acknowledgement and outcome by size of the request, to the limits"),
    Bench("store_growth", "get, list, wait and restart as the store grows"),
    Bench("engine_path", "tokens/s and first token through NATS and driven directly"),
    Bench("cancel_latency", "from cancel to the engine's abort"),
    Bench("council_scaling", "T(N)/T(1) of vLLM seats in one continuous batch", full=True),
    Bench("prefix_cache", "what seats 2…N find in the prefix cache", full=True),
    Bench("durability", "acknowledgement under each durability profile", full=True),
    Bench("gpu", "the engine's questions on an NVIDIA card", full=True),
    Bench("protocols", "which protocol is worth its tokens", full=True),
    Bench("broken_seat", "how often one broken text of three wins", full=True),
)
BY_NAME = {bench.name: bench for bench in BENCHES}


def main() -> int:
    """Run what is named on the command line."""
    arguments = _arguments()
    options = measuring.Options(
        repeats=arguments.repeats, quick=arguments.quick, full=arguments.full
    )
    names = arguments.names or [each.name for each in BENCHES if options.full or not each.full]
    failed = missed = 0
    for name in names:
        before, stolen_before_s = measuring.hardware(), measuring.stolen_s()
        try:
            result = _run(BY_NAME[name], options)
        except Exception:
            log.exception("benchmark %s failed", name)
            failed += 1
            continue
        measuring.report(result, options, before, stolen_before_s, arguments.into)
        missed += sum(not bar.met for bar in result.bars)
    return int(failed > 0 or (missed > 0 and not arguments.report))


def _run(bench: Bench, options: measuring.Options) -> measuring.Result:
    try:
        module = importlib.import_module(f"tests.bench.{bench.name}")
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package in ("", "tests"):
            raise
        return measuring.not_run(bench.name, bench.answers, f"{package} is not installed")
    return uvloop.run(module.measure(options))


def _arguments() -> argparse.Namespace:
    table = "\n".join(
        f"  {each.name:16} {each.answers}{' (--full)' if each.full else ''}" for each in BENCHES
    )
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n{table}", formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of those above")
    parser.add_argument("--repeats", type=int, default=0, help="instead of each benchmark's own")
    parser.add_argument("--quick", action="store_true", help="little work: does it run at all?")
    parser.add_argument("--full", action="store_true", help="all benchmarks, all their sizes")
    parser.add_argument("--report", action="store_true", help="a missed bar is no failure")
    parser.add_argument(
        "--into", type=Path, default=measuring.RESULTS, metavar="FOLDER", help="where to keep it"
    )
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in BY_NAME:
            parser.error(f"no benchmark {name!r}; there are: {', '.join(BY_NAME)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
