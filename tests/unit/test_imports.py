"""One way only: subjects ← schemas ← actors ← supervisor, and heavy libraries in one place each."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "subjects": set(),
    "schemas": {"subjects"},
    "actors": {"subjects", "schemas"},
    "supervisor": {"subjects", "schemas", "actors"},
}
OURS = set(MAY_IMPORT) | {"tests", "deploy"}
ALONE = ("nats", "ray", "vllm")
HEAVY = ("ray", "torch", "transformers", "vllm")
ENGINE = "actors.engines.vllm_engine"
"""The one module that may import heavily, since it is imported only where it is wanted."""


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield (node.module or "").partition(".")[0]


@cache
def anywhere(path: Path) -> set[str]:
    return set(imported(ast.walk(ast.parse(path.read_text()))))


def at_import(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The statements that run when a module is imported: not those inside functions."""
    for node in nodes:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from at_import(ast.iter_child_nodes(node))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_stands_below_it(package: str):
    allowed = MAY_IMPORT[package] | {package}
    assert files(package)
    assert not {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(package)
        for name in (anywhere(path) & OURS) - allowed
    }


@pytest.mark.parametrize("library", ALONE)
def test_one_module_alone_imports(library: str):
    users = [path for package in MAY_IMPORT for path in files(package) if library in anywhere(path)]
    assert len(users) <= 1, users


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_nothing_heavy_is_imported_before_it_is_needed(package: str):
    for path in files(package):
        top = list(at_import(ast.parse(path.read_text()).body))
        modules = {each.module for each in top if isinstance(each, ast.ImportFrom)}
        assert ENGINE not in modules, path
        if not str(path).endswith("actors/engines/vllm_engine.py"):
            assert not set(imported(top)) & set(HEAVY), path


def test_there_is_no_other_top_level_folder():
    found = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name != "__pycache__"
    }
    assert found <= OURS | {"build", "dist"}
