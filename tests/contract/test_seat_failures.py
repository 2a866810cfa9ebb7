"""Every code with which a seat can fail is told in the contract, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from actors.deliberations.outcome import ABSTAINED, SILENT, SPARED
from schemas.contract.asyncapi import document
from schemas.contract.codes import SEAT_FAILURES
from schemas.contract.markdown import page
from schemas.council import Why

ACTORS = Path(__file__).parents[2] / "actors"
PLACES = {"GenerationRefused": 0, "SeatFailure": 0, "_failure": 0, "_failed": 1, "fail_seat": 2}
"""Who is told the code of a failure, and as which of its arguments."""


def codes_in(source: str) -> set[str]:
    """The codes that a module states when it lets a seat fail."""
    tree = ast.parse(source)
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    found: set[str] = set()
    for call in calls:
        place = PLACES.get(getattr(call.func, "attr", getattr(call.func, "id", "")))
        if place is None:
            continue
        told = [*call.args[place : place + 1], *(k.value for k in call.keywords if k.arg == "code")]
        for each in told:
            found |= set(texts(each))
            if isinstance(each, ast.Name):
                found |= set(assigned(tree, each.id))
    return found


def texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be; what is put into one stands as `<its name>`."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from (*texts(one), *texts(other))
        case ast.JoinedStr(values=parts):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "<status>" for part in parts
            )


def assigned(tree: ast.Module, name: str) -> Iterator[str]:
    """What a module assigns to a name, alone or as one of several."""
    for each in ast.walk(tree):
        if not isinstance(each, ast.Assign):
            continue
        match each.targets[0], each.value:
            case ast.Name(id=known), value if known == name:
                yield from texts(value)
            case ast.Tuple(elts=targets), ast.Tuple(elts=values):
                for target, value in zip(targets, values, strict=True):
                    if isinstance(target, ast.Name) and target.id == name:
                        yield from texts(value)


def stated() -> set[str]:
    in_calls = (codes_in(path.read_text()) for path in ACTORS.rglob("*.py"))
    told_of_the_silent = {code for code, _ in (*SILENT.values(), ABSTAINED, SPARED)}
    return set.union(told_of_the_silent, get_args(Why), *in_calls)


def test_the_contract_knows_every_code_with_which_a_seat_can_fail_and_no_other():
    assert stated() == SEAT_FAILURES.keys()


def test_the_page_and_the_document_tell_all_of_them():
    assert document()["x-seat-failures"] == SEAT_FAILURES
    _, _, table = page().partition("\n## Why a seat fails\n")
    assert [
        code for code in SEAT_FAILURES if f"| `{code}` | {SEAT_FAILURES[code]} |" not in table
    ] == []


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ("raise GenerationRefused('one', text)", {"one"}),
        ("raise engine.GenerationRefused(f'http_{error.status}', text)", {"http_<status>"}),
        ("SeatFailure(code='a' if x else 'b', message='words')", {"a", "b"}),
        (
            "code, why = 'one', 'words'\ncode = 'two'\nfail_seat(bus, asked, code, why)",
            {"one", "two"},
        ),
        ("self._failure(refused.code, 'words')\nprint('no code')", set()),
    ],
)
def test_the_search_finds_a_code_however_it_is_stated(source: str, codes: set[str]):
    assert codes_in(source) == codes
