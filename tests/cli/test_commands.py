"""Every command against a scripted system that runs as a person would start it."""

import json
import signal
import subprocess
import sys

import pytest


def documents(done) -> list[dict]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_ask_prints_acknowledgement_and_outcome_as_json(conclave, url: str):
    accepted, outcome = documents(conclave("ask", "Why?", "-r", "QA", "--json", "-s", url))
    assert accepted["seats"] == ["agent-qa-001", "agent-qa-002", "agent-qa-003"]
    assert outcome["task_id"] == accepted["task_id"]
    assert outcome["status"] == "COMPLETED"
    assert [r["rank"] for r in outcome["results"]] == [1, 2, 3]


def test_ask_shows_progress_and_result_as_text_where_there_is_no_terminal(conclave, url: str):
    done = conclave("-s", url, "ask", "-", "--agents", "1", stdin="Why is that?\n")
    assert done.returncode == 0
    assert "accepted in" in done.stdout
    assert "agent-dev-001 answered" in done.stdout
    assert "★ agent-dev-001" in done.stdout
    assert "\x1b" not in done.stdout


def test_all_that_can_be_said_with_a_request_arrives(conclave, url: str, tmp_path):
    material = tmp_path / "plan.md"
    material.write_text("the plan")
    flags = ["--context-file", str(material), "--requirement", "short", "--requirement", "true"]
    flags += ["--rubric", "clear", "--max-tokens", "5", "--temperature", "0.1", "--seed", "7"]
    flags += ["--priority", "-3", "--timeout-seconds", "20", "--task-id", "mine", "--json"]
    outcome = documents(conclave("ask", "How?", *flags, "-s", url))[1]
    assert outcome["task_id"] == "mine"
    assert outcome["deadline_ms"] - outcome["created_at_ms"] == 20_000
    assert {r["proposal"]["usage"]["completion_tokens"] for r in outcome["results"]} == {5}
    again = documents(conclave("ask", "How?", *flags, "-s", url))
    assert again[0]["duplicate"] is True
    assert again[1] == outcome


def test_no_wait_prints_the_task_id_alone_and_wait_and_get_take_it(conclave, url: str):
    asked = conclave("ask", "Later?", "--no-wait", "-s", url)
    task_id = asked.stdout.strip()
    assert "accepted for agent-dev-001" in asked.stderr
    waited = conclave("wait", task_id, "--for", "20", "-s", url)
    assert waited.returncode == 0
    assert "COMPLETED" in waited.stdout
    (known,) = documents(conclave("get", task_id, "--json", "-s", url))
    assert known["winner_id"] in waited.stdout


def test_list_shows_the_newest_first_and_filters(conclave, url: str):
    newest = documents(conclave("ask", "Newest?", "-r", "DATA", "--json", "-s", url))[0]["task_id"]
    (page,) = documents(conclave("list", "-r", "DATA", "-n", "1", "--json", "-s", url))
    assert page["deliberations"][0]["task_id"] == newest
    assert "Newest?" in conclave("list", "--status", "completed", "-s", url).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "path"),
    [
        (("get", "nope"), "unknown_task", "$.task_id"),
        (("cancel", "nope"), "unknown_task", "$.task_id"),
        (("ask", "x", "--role", "NOPE"), "unknown_role", "$.role"),
        (("ask", "x", "--agents", "9"), "too_many_agents", "$.num_agents"),
        (("ask", " "), "bad_message", "$.task_description"),
        (("councils", "show", "NOPE"), "unknown_role", "$.role"),
    ],
)
def test_a_refusal_is_one_line_with_code_and_path(conclave, url, arguments, code, path):
    done = conclave(*arguments, "-s", url)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"conclave: {code}: ")
    assert done.stderr.endswith(f"(at {path})\n")


def test_a_council_is_created_asked_shown_and_deleted(conclave, url: str):
    flags = ("--seat", "contract lawyer", "--seat", "privacy officer", "--json")
    (made,) = documents(conclave("councils", "create", "LEGAL", *flags, "-s", url))
    assert [seat["persona"] for seat in made["seats"]] == ["contract lawyer", "privacy officer"]
    outcome = documents(conclave("ask", "May we?", "-r", "LEGAL", "--json", "-s", url))[1]
    assert outcome["status"] == "COMPLETED"
    assert "privacy officer" in conclave("councils", "list", "-s", url).stdout
    shown = conclave("councils", "show", "LEGAL", "--json", "-s", url).stdout
    assert conclave("councils", "delete", "LEGAL", "-s", url).returncode == 0
    assert conclave("councils", "show", "LEGAL", "-s", url).returncode == 1
    again = conclave("councils", "create", "LEGAL", "--file", "-", "-s", url, stdin=shown)
    assert again.returncode == 0, again.stderr
    assert conclave("councils", "create", "LEGAL", "-s", url).returncode == 2


def test_stats_counts_and_names_the_agents(conclave, url: str):
    (stats,) = documents(conclave("stats", "--json", "-s", url))
    assert [agent["engine"] for agent in stats["agents"]] == ["scripted"]
    assert "scripted" in conclave("stats", "-s", url).stdout


def test_doctor_finds_a_healthy_system(conclave, url: str):
    done = conclave("doctor", "-s", url, CONCLAVE_POOLS__DEFAULT__ENGINE="scripted")
    assert done.returncode == 0, done.stdout
    for part in ("DELIBERATIONS", "dispatcher", "collector", "responder", "registry", "council QA"):
        assert part in done.stdout


def test_watch_shows_every_event_until_ctrl_c(conclave, environment, url: str):
    command = [sys.executable, "-m", "supervisor", "watch", "--json", "-s", url]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stderr is not None
        assert "watching" in watching.stderr.readline()
        documents(conclave("ask", "Who?", "--task-id", "seen", "--json", "-s", url))
        watching.send_signal(signal.SIGINT)
        shown, complaint = watching.communicate(timeout=20)
    events = [json.loads(line) for line in shown.splitlines()]
    kinds = {event.get("event") for event in events if event["task_id"] == "seen"}
    assert {"seat_started", "delta", "seat_answered", None} <= kinds
    assert watching.returncode == 130
    assert complaint == ""
