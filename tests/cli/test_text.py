import io

import pytest
from rich.console import Console

from schemas.agent import Usage
from schemas.result import Deliberation, Failure, Proposal, Ranked
from supervisor.cli import results, text

EVIL = "\x1b]0;owned\x07\x1b[2J[red]shown[/red]\u202etxt\x9b31m"


@pytest.mark.parametrize("char", ["\x1b", "\x07", "\x9b", "\r", "\x00", "\u202e", "\u2066"])
def test_no_text_can_command_the_terminal(char: str):
    assert char not in text.plain(f"a{char}b")
    assert char not in text.one_line(f"a{char}b", 10)
    assert char not in text.tail(f"a{char}b", 10)


def test_line_breaks_and_tabs_stay():
    assert text.plain("a\r\nb\tc") == "a\nb\tc"


@pytest.mark.parametrize(
    ("ms", "shown"), [(0, "0 ms"), (999, "999 ms"), (4_210, "4.2 s"), (125_000, "2 min 05 s")]
)
def test_times_are_told_as_people_read_them(ms: float, shown: str):
    assert text.duration(ms) == shown


def test_a_long_text_keeps_its_beginning_or_its_end():
    assert text.one_line("one two three", 8) == "one two…"
    assert text.tail("one two three", 8) == "…o three"


def test_a_result_is_shown_whole_and_harmless():
    proposal = Proposal(
        author_id="agent-x-001", author_role="X", content=EVIL, created_at_ms=1, model=EVIL
    )
    known = Deliberation(
        task_id="t",
        role="X",
        protocol="independent",
        status="COMPLETED",
        results=(Ranked(proposal=proposal, score=0.5, rank=1),),
        winner_id="agent-x-001",
        winner_reason=EVIL,
        reason=EVIL,
        usage=Usage(prompt_tokens=1_234),
        failures=(Failure(seat="agent-x-002", code="engine_error", message=EVIL),),
    )
    out = io.StringIO()
    Console(file=out, width=100).print(results.deliberation(known, EVIL))
    shown = out.getvalue()
    assert not set(shown) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "[red]shown[/red]" in shown
    assert "★ agent-x-001" in shown
    assert "engine_error" in shown
    assert "1,234 / 0 / 0" in shown
