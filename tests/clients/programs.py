"""Programs in other languages, run to see what they print."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from msgspec import Struct

from tests.clients import languages

RUN_S = 40.0


class Said(Struct, frozen=True):
    """What a client printed: lines of subject and message, its error output and exit code."""

    lines: tuple[tuple[str, Any], ...]
    errors: str
    code: int

    def on(self, subject: str) -> list[Any]:
        """The messages of one subject."""
        return [message for where, message in self.lines if where == subject]


class Client:
    """A program in some language that knows NATS, and nothing of ours."""

    def __init__(self, language: str, url: str) -> None:
        self.language = language
        self._command = languages.client(language)
        self._env = os.environ | {"NATS_URL": url}

    @contextmanager
    def start(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run it as long as the context lasts."""
        with subprocess.Popen(
            [*self._command, *words],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *words: str) -> Said:
        """Run it to its end."""
        with self.start(*words) as process:
            return finished(process)

    def ask(self, **request: Any) -> Said:
        return self.run("ask", json.dumps(asked(**request)))

    def call(self, subject: str, message: Any = None) -> Said:
        return self.run("call", subject, json.dumps(message or {}))


def asked(**request: Any) -> dict[str, Any]:
    """A request for one round without a vote, unless told otherwise."""
    return {"task_description": "How?", "role": "DEV", "protocol": "independent"} | request


def finished(process: subprocess.Popen[str]) -> Said:
    """Wait for the end of a client and read what it printed."""
    output, errors = process.communicate(timeout=RUN_S)
    lines = [line.partition(" ") for line in output.splitlines()]
    return Said(
        lines=tuple((subject, json.loads(message)) for subject, _, message in lines),
        errors=errors,
        code=process.returncode,
    )


def unique(prefix: str = "t") -> str:
    """A name that nobody used: tests share their system."""
    return f"{prefix}-{uuid4().hex[:12]}"
