"""What the command line says when nothing runs: help, configuration, errors, exit codes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMANDS = (
    "demo up ask get wait list cancel watch councils stats doctor config run".split()  # noqa: SIM905
)
NOWHERE = ("--server", "nats://127.0.0.1:1")


def test_help_lists_every_command_and_exit_code(conclave):
    done = conclave("--help", COLUMNS="200")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in done.stdout
    assert "70 the supervisor gave up" in done.stdout


@pytest.mark.parametrize("command", [("ask",), ("councils", "create"), ("run",)])
def test_every_command_takes_the_common_options_and_gives_an_example(conclave, command):
    shown = conclave(*command, "--help", COLUMNS="200").stdout
    for option in ("--server", "--json", "--timeout", "--context", "--config"):
        assert option in shown
    assert "For example:" in shown


def test_a_mistyped_command_is_told_its_neighbour(conclave):
    done = conclave("concils")
    assert done.returncode == 2
    assert "Did you mean 'councils'" in done.stderr


def test_the_version_is_told(conclave):
    assert conclave("--version").stdout.startswith("conclave 0.")


def test_nobody_at_the_url_is_one_line_and_exit_code_3(conclave):
    began = time.monotonic()
    done = conclave("stats", *NOWHERE)
    assert time.monotonic() - began < 10
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("conclave: unavailable: nats://127.0.0.1:1 does not answer")
    assert done.stderr.count("\n") == 1


def test_a_wrong_configuration_is_one_line_and_exit_code_2(conclave, tmp_path: Path):
    file = tmp_path / "c.toml"
    file.write_text("[server]\nprot = 1\n")
    done = conclave("config", "--config", str(file))
    assert done.returncode == 2
    assert "c.toml" in done.stderr
    assert "server.prot" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_context_is_one_line_and_exit_code_2(conclave):
    done = conclave("stats", "--context", "nope")
    assert done.returncode == 2
    assert "no nats context 'nope'" in done.stderr


def test_the_selected_context_says_where_the_server_is(conclave, tmp_path: Path):
    folder = tmp_path / "nats"
    (folder / "context").mkdir(parents=True)
    (folder / "context" / "far.json").write_text('{"url": "nats://127.0.0.1:2"}')
    (folder / "context.txt").write_text("far")
    done = conclave("stats", XDG_CONFIG_HOME=str(tmp_path))
    assert "nats://127.0.0.1:2 does not answer" in done.stderr


def test_nats_url_wins_over_the_selected_context_and_a_flag_over_both(conclave, tmp_path: Path):
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "context.txt").write_text("broken")
    env = {"XDG_CONFIG_HOME": str(tmp_path), "NATS_URL": "nats://127.0.0.1:3"}
    assert "nats://127.0.0.1:3 does" in conclave("stats", **env).stderr
    assert "nats://127.0.0.1:1 does" in conclave("stats", *NOWHERE, **env).stderr


def test_the_configuration_is_shown_as_toml_with_secrets_masked(conclave, tmp_path: Path):
    env = {"CONCLAVE_NATS__PASSWORD": "hidden", "CONCLAVE_SERVER__PORT": "0"}
    shown = conclave("config", **env).stdout
    assert "hidden" not in shown
    assert 'password = "***"' in shown
    assert "port = 0" in shown
    file = tmp_path / "again.toml"
    file.write_text(shown)
    again = conclave("--json", "config", "--config", str(file))
    assert json.loads(again.stdout)["server"]["port"] == 0


def test_doctor_tells_what_is_missing_and_what_to_do(conclave):
    done = conclave("doctor", "--json", *NOWHERE)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert {"Python", "nats-server", "msgspec", "vllm", "GPU"} <= {f["what"] for f in findings}
    problems = [f for f in findings if f["state"] == "problem"]
    assert [f["what"] for f in problems] == ["server"]
    assert "conclave up" in problems[0]["todo"]


def test_a_supervised_actor_imports_nothing_of_the_command_line():
    code = (
        "import sys; from supervisor.cli import child; import supervisor.actor;"
        "print(*{'aiohttp', 'pydantic', 'ray', 'rich', 'typer', 'vllm'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""
