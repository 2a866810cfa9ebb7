"""Measure the small model through vLLM: `python deploy/models/eval.py`; writes `evaluation.json` beside it."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from abilities import ballots, proposals, reviews
from corpus.closed import KINDS
from questions import closed_questions
from sampling import Engine
from wild import WILD

HERE = Path(__file__).parent


def percent(figure: dict[str, float]) -> str:
    """A share with its interval, as people read it."""
    return f"{100 * figure['share']:.1f} % ({100 * figure['low']:.1f} to {100 * figure['high']:.1f}, n = {figure['n']:.0f})"


def rows(found: dict[str, Any]) -> list[tuple[str, str, str, bool | None]]:
    """Every bar: what, measured, wanted, reached."""
    p, b, e, r = found["proposals"], found["ballots"], found["engine"], found["reviews"]
    wild = p["tasks_written_by_hand"]
    table: list[tuple[str, str, str, bool | None]] = [
        (
            "proposals with two content words or more, held-out words",
            percent(p["two_content_words"]),
            ">= 80 %",
            p["two_content_words"]["share"] >= 0.8,
        ),
        ("the same, tasks written by hand", percent(wild["two_content_words"]), "", None),
        (
            "likeness of seats, 3-gram Jaccard, mean",
            f"{p['likeness_of_seats']:.3f}",
            "< 0.6",
            p["likeness_of_seats"] < 0.6,
        ),
        ("likeness of two seeds of one seat", f"{p['likeness_of_seeds']:.3f}", "", None),
        (
            "proposals that end by themselves",
            percent(p["stopped_by_itself"]),
            ">= 95 %",
            p["stopped_by_itself"]["share"] >= 0.95,
        ),
        (
            "critiques that name what is missing",
            percent(r["critique_names_what_is_missing"]),
            "",
            None,
        ),
        ("revisions that add what was asked", percent(r["revision_adds_what_was_asked"]), "", None),
        (
            "ballots: faulty candidate of three last",
            percent(b["faulty_ranked_last"]),
            ">= 70 %",
            b["faulty_ranked_last"]["share"] >= 0.7,
        ),
        ("ballots: off-topic candidate last", percent(b["by_fault"]["off topic"]), "", None),
        ("ballots: faulty candidate approved", percent(b["faulty_approved"]), "", None),
    ]
    gains, over_mean = list[float](), list[float]()
    for level, figures in found["closed"].items():
        one, fifteen = figures["majority_of_1"], figures["majority_of_15"]
        table.append(
            (
                f"closed, {level}: one sample",
                percent(one),
                "35 to 75 %",
                0.35 <= one["share"] <= 0.75,
            )
        )
        table.append(
            (f"closed, {level}: majority of 5", percent(figures["majority_of_5"]), "", None)
        )
        table.append((f"closed, {level}: majority of 15", percent(fifteen), "", None))
        kinds = (
            f"{kind} {100 * figures[kind]['majority_of_1']['share']:.0f} to"
            f" {100 * figures[kind]['majority_of_15']['share']:.0f}"
            for kind in KINDS
        )
        table.append((f"closed, {level}: the same by kind, %, 1 to 15", ", ".join(kinds), "", None))
        gains.append(fifteen["share"] - one["share"])
        over_mean.append(fifteen["share"] - figures["mean_accuracy_of_all_samples"])
    won = sum(gain >= 0.1 for gain in gains)
    table += [
        ("levels where 15 beat 1 by 10 points", f"{won} of {len(gains)}", ">= 2", won >= 2),
        (
            "points won by 15 votes over the mean sample, by level",
            ", ".join(f"{100 * gain:.1f}" for gain in over_mean),
            "",
            None,
        ),
        (
            "engine start",
            f"{e['start_seconds']:.1f} s after {e['import_seconds']:.1f} s of imports",
            "",
            None,
        ),
        ("tokens/s, 1 in flight", f"{e['tokens_per_second_1']:.0f}", "", None),
        ("tokens/s, 64 in flight", f"{e['tokens_per_second_64']:.0f}", "", None),
        ("folder", f"{e['folder_mb']:.2f} MB", "<= 16 MB", e["folder_mb"] <= 16),
    ]
    return table


def written(found: dict[str, Any]) -> str:
    """The table as Markdown."""
    marks = {True: "yes", False: "**no**", None: ""}
    lines = ["| what | measured | bar | reached |", "| --- | --- | --- | --- |"]
    return "\n".join(
        [
            *lines,
            *(
                f"| {what} | {value} | {bar} | {marks[ok]} |"
                for what, value, bar, ok in rows(found)
            ),
        ]
    )


def write_card(folder: Path, table: str) -> None:
    """Put the table into the model card, where it has a place for it."""
    card = folder / "README.md"
    begin, end = "<!-- measured -->", "<!-- /measured -->"
    if card.exists() and begin in (text := card.read_text()):
        head, rest = text.split(begin)
        card.write_text(f"{head}{begin}\n{table}\n{end}{rest.split(end)[1]}")


def main() -> int:
    """Run all measurements; the exit status says whether every bar was reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=HERE / "nano", help="folder to measure")
    parser.add_argument(
        "--out", type=Path, default=None, help="where to write the figures (in the model's folder)"
    )
    parser.add_argument("--questions", type=int, default=500, help="closed questions a level")
    parser.add_argument("--tasks", type=int, default=100, help="held-out tasks to propose for")
    parser.add_argument("--ballots", type=int, default=400, help="held-out ballots")
    args = parser.parse_args()
    began = time.monotonic()
    engine = Engine(args.model)

    def progress(line: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {line}", flush=True)

    users = [text for text, _ in WILD]
    sixty_four = [f"{users[place % len(users)]} ({place})" for place in range(64)]
    progress("speed")
    found: dict[str, Any] = {
        "engine": {
            "import_seconds": round(engine.import_seconds, 2),
            "start_seconds": round(engine.start_seconds, 2),
            "tokens_per_second_1": round(engine.speed(sixty_four[:1], 128)),
            "tokens_per_second_64": round(engine.speed(sixty_four, 64)),
            "folder_mb": round(sum(f.stat().st_size for f in args.model.iterdir()) / 1e6, 2),
        }
    }
    found["proposals"] = proposals(engine, args.tasks, progress)
    found["reviews"] = reviews(engine, args.tasks, progress)
    found["ballots"] = ballots(engine, args.ballots, progress)
    found["closed"] = closed_questions(engine, args.questions, progress)
    found["seconds"] = round(time.monotonic() - began)
    out = args.out or args.model / "evaluation.json"
    out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    write_card(args.model, written(found))
    print(written(found))
    return 0 if all(ok is not False for *_, ok in rows(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
