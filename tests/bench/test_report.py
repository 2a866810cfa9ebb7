"""The report says what was measured, against which bars, where, and what was not."""

from pathlib import Path

import pytest

from tests.bench import plots, report
from tests.bench.measuring import Bar, Options, Plot, Result, hardware, not_run, stolen_s, table
from tests.bench.measuring import report as keep
from tests.bench.pictures import lines
from tests.bench.run import BENCHES

MADE_UP = Result(
    bench="made_up",
    question="How much wood would a woodchuck chuck?",
    rows=(
        {"kind": "a|b", "per s": 1, "p50": 2.0},
        {"kind": "a|b", "per s": 10, "p50": 4.5},
        {"kind": "other", "per s": 10, "p50": 1234.5, "errors": 3},
        {"kind": "broken", "not run": "no wood"},
    ),
    bars=(Bar(text="p50", value=2.0, limit=3.0), Bar(text="p99", value=9.0, limit=5.0)),
    plots=(Plot(title="wood", x="per s", y=("p50",), by=("kind",), log_x=True),),
    notes=("Nothing was chucked.",),
)


@pytest.fixture
def written(tmp_path: Path) -> str:
    """The report of a folder with one result, another without figures, and a quick one."""
    for name, options in (("made_up", Options()), ("quick_one", Options(quick=True))):
        result = Result(**{**_fields(MADE_UP), "bench": name})
        keep(result, options, hardware(), stolen_s(), tmp_path)
    no_card = not_run("gpu", "How fast is a card?", "no card")
    keep(no_card, Options(), hardware(), stolen_s(), tmp_path)
    return report.write(tmp_path).read_text()


def _fields(result: Result) -> dict[str, object]:
    return {name: getattr(result, name) for name in result.__struct_fields__}


def test_every_row_stands_in_a_table_with_a_column_for_every_key(written):
    assert "| kind | per s | p50 | errors | not run |\n| :-- | --: | --: | --: | :-- |\n" in written
    assert "| a\\|b | 10 | 4.50 |  |  |" in written
    assert "| other | 10 | 1234 | 3 |  |" in written
    assert "| broken |  |  |  | no wood |" in written


def test_bars_are_counted_and_told_with_what_was_measured(written):
    assert "## Bars: 1 met, 1 missed" in written
    assert "| met | p50 | 2 | ≤ 3 | [made_up](#made_up) |" in written
    assert "- **missed**: p99: 9 (bar ≤ 5)" in written


def test_a_section_names_question_notes_command_and_machine(written):
    assert MADE_UP.question in written
    assert "- Nothing was chucked.\n" in written
    assert "- `python tests/bench/run.py" in written
    assert "machine A" in written
    assert "s of processor time" in written
    assert f"- **A**: cpu {hardware()['cpu']}" in written
    assert "nats-server 2." in written


def test_a_result_with_a_plot_has_its_picture_and_others_have_none(written, tmp_path):
    assert "![made_up](made_up.png)" in written
    assert (tmp_path / "made_up.png").read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.glob("*.png")] == ["made_up.png"]


def test_what_was_not_run_is_told_and_quick_results_are_not(written):
    assert "| no card |" in written
    absent = written.partition("## Not run\n")[2]
    assert [name for name in (each.name for each in BENCHES) if f"- {name}: " not in absent] == [
        "gpu"
    ]
    assert "quick_one" not in written


def test_pages_written_by_hand_are_named(tmp_path):
    (tmp_path / "profile.md").write_text("What was found.")
    first = report.write(tmp_path).read_text()
    assert "See also [profile.md](profile.md)." in first
    assert report.write(tmp_path).read_text() == first


def test_a_plot_has_a_line_for_each_value_and_no_point_without_a_number():
    found = lines(MADE_UP.plots[0], [*MADE_UP.rows, {"kind": "other", "per s": 0, "p50": 1.0}])
    assert found == {"a|b": [(1, 2.0), (10, 4.5)], "other": [(10, 1234.5)]}


def test_a_plot_of_several_columns_names_its_lines_by_them_and_keeps_to_its_rows():
    plot = Plot(title="", x="x", y=("p50", "p99"), where={"ok": True, "load": "*/s"})
    rows = [
        {"x": "one", "p50": 1, "p99": 2, "ok": True, "load": "1/s"},
        {"x": "two", "p50": 1, "ok": False, "load": "2/s"},
        {"x": "three", "p50": 1, "ok": True, "load": "2 open"},
    ]
    assert lines(plot, rows) == {"p50": [("one", 1)], "p99": [("one", 2)]}


@pytest.mark.parametrize(
    ("bench", "rows", "found"),
    [
        (
            "head_to_head",
            [
                {"system": "conclave", "seats": 3, "ack p50": 1.0, "per s": 900.0},
                {"system": "celery", "seats": 3, "ack p50": 2.0, "per s": 90.0},
                {"system": "autogen", "not run": "not installed"},
            ],
            {"3 seats": [("conclave", 900.0), ("celery", 90.0)]},
        ),
        (
            "engine_path",
            [
                {"in flight": 1, "way": "direct", "tokens/s": 90.0},
                {"in flight": 64, "way": "direct", "tokens/s": 900.0},
                {"in flight": 1, "way": "agent", "tokens/s": 89.0},
            ],
            {"direct": [(1, 90.0), (64, 900.0)], "agent": [(1, 89.0)]},
        ),
    ],
)
def test_results_without_plots_of_their_own_have_those_of_their_question(bench, rows, found):
    plot, *_ = plots.of(bench, rows)
    assert lines(plot, rows) == found
    absent = [{"not run": "no server"}]
    assert not any(lines(plot, absent) for plot in plots.of(bench, absent))


@pytest.mark.parametrize("bars", [True, False])
def test_plots_are_drawn_with_bars_and_with_lines(tmp_path, bars):
    plot = Plot(title="t", x="x", y=("p50", "p99"), bars=bars, limit=1.5, unit="ms")
    rows = [{"x": 1, "p50": 1, "p99": 2}, {"x": 2, "p50": 1.5, "p99": None}]
    assert report.draw((plot,), rows, tmp_path / "it.png")
    assert (tmp_path / "it.png").stat().st_size > 5_000


def test_no_picture_is_made_of_no_points(tmp_path):
    assert not report.draw(MADE_UP.plots, [{"not run": "no wood"}], tmp_path / "it.png")
    assert not list(tmp_path.iterdir())


def test_the_printed_table_has_the_columns_of_all_rows():
    printed = table(({"a": "x"}, {"a": "y", "b": 0.0123})).splitlines()
    assert [line.split() for line in printed] == [["a", "b"], ["-" * 8], ["x"], ["y", "0.012"]]


def test_every_benchmark_of_the_folder_stands_in_the_list():
    folder = Path(report.__file__).parent
    modules = {
        file.stem for file in folder.glob("*.py") if "\nasync def measure(" in file.read_text()
    }
    assert modules <= {bench.name for bench in BENCHES}
