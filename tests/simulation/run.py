"""Simulate many seeds: `just sim`, `just sim seeds=100000`, or one again: `just sim seed=107`."""

import argparse
import gc
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.simulation.patches import simulated
from tests.simulation.world import Report, World

REGRESSIONS = Path(__file__).with_name("regressions.txt")
"""Seeds that once failed, one a line; what follows `#` says how."""

SEEDS = 1_000


def simulate(seed: int) -> Report:
    """One run. Whatever is logged is kept off the terminal."""
    with simulated():
        return World(seed).run()


def regressions() -> list[int]:
    """The seeds that once failed."""
    lines = (line.partition("#")[0].strip() for line in REGRESSIONS.read_text().splitlines())
    return [int(line) for line in lines if line]


def told(report: Report) -> str:
    """A failed run for people, with the command that repeats it."""
    found = "\n".join(f"  {violation}" for violation in report.violations)
    return f"seed {report.seed}\n{found}\n  again: just sim seed={report.seed}"


def quiet() -> None:
    """Let warnings of actors go nowhere, and the garbage collector leave what stays alone."""
    logging.lastResort = None
    for name in ("actors", "supervisor"):
        logging.getLogger(name).setLevel(logging.ERROR)
    gc.freeze()


def main(arguments: Iterable[str]) -> int:
    """Run; the exit code is 1 when a seed failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    options = parser.parse_args([_flag(argument) for argument in arguments])
    if options.seed is None:
        seeds = [*regressions(), *range(options.first, options.first + options.seeds)]
    else:
        seeds = [options.seed]
    done, failed = _run(seeds, options.jobs, options.minutes)
    sys.stdout.write(f"{done} seeds, {failed} violations\n")
    return 1 if failed else 0


def _run(seeds: list[int], jobs: int, minutes: float | None) -> tuple[int, int]:
    """Simulate; return how many were done and how many of them failed."""
    begun = time.monotonic()
    done = failed = steps = messages = 0
    simulated_s = 0.0
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(seeds)), quiet) as pool:
        for report in pool.imap_unordered(simulate, seeds, chunksize=min(20, len(seeds))):
            done += 1
            steps += report.steps
            messages += report.messages
            simulated_s += report.seconds
            if report.violations:
                failed += 1
                sys.stdout.write(f"{told(report)}\n")
                sys.stdout.flush()
            if minutes is not None and time.monotonic() - begun > 60 * minutes:
                break
    spent_s = time.monotonic() - begun
    sys.stdout.write(
        f"{done / spent_s:.1f} seeds per second; {simulated_s / 3600:.1f} simulated hours, "
        f"{messages} messages, {steps} steps in {spent_s:.0f} s\n"
    )
    return done, failed


def _flag(argument: str) -> str:
    """`seeds=5` as `--seeds=5`."""
    return argument if argument.startswith("-") else f"--{argument}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
