import json
from pathlib import Path

import pytest

from actors.settings import BusSettings
from supervisor import contexts
from supervisor.contexts import ContextError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def write(environ: dict[str, str], name: str, **fields: object) -> None:
    path = contexts.folder(environ) / "context" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields))


def test_a_context_as_the_nats_command_line_writes_it_is_read(environ: dict[str, str]):
    write(
        environ,
        "work",
        description="ours",
        url="nats://a:1,nats://b:2",
        creds="/etc/work.creds",
        user="u",
        password="p",
        token="t",
        ca="/etc/ca.pem",
        nkey="",
        color_scheme="",
        tls_first=False,
    )
    assert contexts.load("work", environ) == BusSettings(
        url="nats://a:1,nats://b:2",
        creds_file="/etc/work.creds",
        user="u",
        password="p",
        token="t",
        ca_file="/etc/ca.pem",
    )


def test_a_tilde_in_a_path_is_the_home_directory(environ: dict[str, str]):
    write(environ, "work", creds="~/x.creds")
    assert contexts.load("work", environ).creds_file == str(Path.home() / "x.creds")


def test_a_context_without_url_means_this_machine(environ: dict[str, str]):
    write(environ, "work")
    assert contexts.load("work", environ).url == "nats://127.0.0.1:4222"


@pytest.mark.parametrize(
    ("field", "value"),
    [("nkey", "/k"), ("cert", "/c"), ("nsc", "nsc://o/a/u"), ("tls_first", True)],
)
def test_what_cannot_be_honoured_is_an_error_naming_it(
    environ: dict[str, str], field: str, value: object
):
    write(environ, "work", url="nats://a:1", **{field: value})
    with pytest.raises(ContextError, match=f"uses {field}, which"):
        contexts.load("work", environ)


def test_an_unknown_context_is_an_error_naming_the_known_ones(environ: dict[str, str]):
    write(environ, "one")
    write(environ, "two")
    with pytest.raises(ContextError, match="there are: one, two"):
        contexts.load("three", environ)


@pytest.mark.parametrize("name", ["", "../secret", "a/b"])
def test_a_context_name_is_no_path(environ: dict[str, str], name: str):
    with pytest.raises(ContextError, match="no name"):
        contexts.load(name, environ)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"url": 1}', b"\xff", b"[" * 100_000])
def test_a_broken_context_is_an_error_naming_the_file(environ: dict[str, str], body: bytes):
    write(environ, "work")
    (contexts.folder(environ) / "context" / "work.json").write_bytes(body)
    with pytest.raises(ContextError, match=r"work\.json is no nats context"):
        contexts.load("work", environ)


def test_the_selected_context_is_in_a_file_unless_the_environment_names_one(
    environ: dict[str, str],
):
    assert not contexts.selected(environ)
    write(environ, "work")
    (contexts.folder(environ) / "context.txt").write_text("work\n")
    assert contexts.selected(environ) == "work"
    assert contexts.selected(environ | {"NATS_CONTEXT": "other"}) == "other"
