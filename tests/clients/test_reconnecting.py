"""nats-server is killed under the clients' feet, and each still gets its outcome."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from subjects import names
from tests.clients import languages
from tests.clients.beside import Beside
from tests.clients.nats_cli import NoResponders
from tests.clients.programs import Client, asked, finished, unique


def test_an_outcome_missed_while_the_server_was_away_is_asked_for(
    up: Callable[..., tuple[subprocess.Popen[str], str]],
    pools: Path,
    make_client: Callable[[str, str], Client],
):
    process, url = up("--config", str(pools))
    clients = [make_client(language, url) for language in languages.READY]
    beside = Beside(url)
    role = beside.council("slow")
    tasks = [unique() for _ in clients]
    with ExitStack() as running:
        asking = [
            running.enter_context(
                client.start("ask", json.dumps(asked(task_id=task_id, role=role)))
            )
            for client, task_id in zip(clients, tasks, strict=True)
        ]
        for each in asking:
            assert each.stdout is not None
            assert each.stdout.readline()  # accepted
            each.send_signal(signal.SIGSTOP)  # it will hear of nothing
        kill_server(process)
        for task_id in tasks:
            cancel(beside, task_id)
        for each in asking:
            each.send_signal(signal.SIGCONT)
        for client, each in zip(clients, asking, strict=True):
            said = finished(each)
            assert said.code == 0, (client.language, said.errors)
            (outcome,) = said.on(names.WAIT)
            assert outcome["status"] == "CANCELLED"


def kill_server(system: subprocess.Popen[str]) -> None:
    children = psutil.Process(system.pid).children(recursive=True)
    (server,) = [child for child in children if child.name() == "nats-server"]
    server.kill()


def cancel(beside: Beside, task_id: str) -> None:
    """End a deliberation, although nobody may be there to answer for a moment."""
    while True:
        with suppress(OSError, NoResponders):
            assert beside.send(names.CANCEL, {"task_id": task_id})["status"] == "CANCELLED"
            return
        time.sleep(0.1)
