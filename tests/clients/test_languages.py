"""What a language needs is installed, or said to be missing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import languages
from tests.clients.languages import Unavailable


def test_a_client_that_cannot_be_is_skipped_here_and_fails_in_ci(
    make_client: Callable[[str, str], object], monkeypatch: pytest.MonkeyPatch
):
    def nowhere() -> list[str]:
        raise Unavailable("there is no compiler")

    monkeypatch.setitem(languages.READY, "COBOL", nowhere)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no compiler"):
        make_client("COBOL", "")
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no compiler"):
        make_client("COBOL", "")


def test_only_root_installs_debian_packages(monkeypatch: pytest.MonkeyPatch):
    languages.need("cobol", have=("sh",))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(languages.shutil, "which", lambda name: name if name != "cobc" else None)
    with pytest.raises(Unavailable, match=r"missing cobc \(Debian: cobol\); only root"):
        languages.need("cobol", have=("sh", "cobc"))


def test_an_installer_that_fails_tells_its_last_words(tmp_path: Path):
    with pytest.raises(Unavailable, match="no such registry"):
        languages.install(["sh", "-c", "echo no such registry >&2; exit 1"], tmp_path)


def test_a_program_that_does_not_compile_is_no_reason_to_skip(tmp_path: Path):
    with pytest.raises(RuntimeError, match="syntax error"):
        languages.run(["sh", "-c", "echo syntax error >&2; exit 1"], tmp_path)
