"""`conclave dead` and `conclave ask --submit`, against a system as a person would start it."""

import json
import time
from typing import Any

SUBMIT = ("--submit", "--protocol", "independent", "--task-id")


def documents(done: Any) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def letter_of(conclave: Any, url: str, task_id: str) -> dict[str, Any]:
    """The dead letter of a task, once it is there."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        (page,) = documents(conclave("dead", "list", "--task", task_id, "--json", "-s", url))
        if page["letters"]:
            return page["letters"][0]
        time.sleep(0.05)
    raise AssertionError(f"no dead letter of {task_id}")


def test_a_task_is_handed_in_and_waited_for(conclave, url: str):
    (receipt,) = documents(conclave("ask", "Later?", *SUBMIT, "handed-in", "--json", "-s", url))
    assert receipt["task_id"] == "handed-in"
    assert receipt["sequence"] > 0
    assert conclave("wait", "handed-in", "--for", "20", "-s", url).returncode == 0
    again = conclave("ask", "Later?", *SUBMIT, "handed-in", "-s", url)
    assert again.stdout.strip() == "handed-in"
    assert "conclave wait handed-in" in again.stderr


def test_a_refused_submission_fails_and_says_why(conclave, url: str):
    conclave("ask", "Who?", "--role", "CHEF", *SUBMIT, "no-chef", "-s", url)
    done = conclave("wait", "no-chef", "--for", "20", "-s", url)
    assert done.returncode == 1
    assert "unknown_role" in done.stdout


def test_a_dead_letter_is_listed_shown_retried_and_dropped(conclave, url: str):
    for question in ("One?", "Another?"):
        conclave("ask", question, *SUBMIT, "twice", "-s", url)
    letter = letter_of(conclave, url, "twice")
    number = str(letter["id"])
    listed = conclave("dead", "list", "-s", url).stdout
    assert number in listed
    assert "conflict" in listed
    shown = conclave("dead", "show", number, "-s", url).stdout
    assert "deliberation.submit.twice" in shown
    assert "Another?" in shown
    (retried,) = documents(conclave("dead", "retry", number, "--json", "-s", url))
    assert (retried["state"], retried["id"]) == ("retried", letter["id"])
    second = letter_of(conclave, url, "twice")  # it dies of the same again
    assert second["id"] == retried["retried_as"]
    (dropped,) = documents(conclave("dead", "drop", str(second["id"]), "--json", "-s", url))
    assert dropped["state"] == "dropped"
    assert f"retried as #{second['id']}" in conclave("dead", "show", number, "-s", url).stdout
    (page,) = documents(conclave("dead", "list", "--all", "--task", "twice", "--json", "-s", url))
    assert [each["state"] for each in page["letters"]] == ["retried", "dropped"]


def test_a_letter_that_is_not_there_is_a_refusal(conclave, url: str):
    done = conclave("dead", "show", "999999", "-s", url)
    assert done.returncode == 1
    assert done.stderr.startswith("conclave: unknown_letter: ")


def test_no_letters_are_said_to_be_none(conclave, url: str):
    assert "No dead letters." in conclave("dead", "list", "--task", "nobody", "-s", url).stdout
