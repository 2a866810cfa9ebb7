"""Processes that end with the one that started them, however that ends, kill -9 included."""

import subprocess
from collections.abc import Iterable
from typing import Final

_SCRIPT: Final = 'read -r _; kill -9 "$@" 2>/dev/null'


class Reaper:
    """A shell that kills `processes` as soon as this process ends: its end of the pipe closes then.

    The empty environment keeps a supervisor, which knows its children's processes by theirs, from
    ending the shell before its work is done.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        numbers = [str(number) for number in processes]
        self._shell = subprocess.Popen(  # noqa: S603 - our own words and numbers
            ["/bin/sh", "-c", _SCRIPT, "reaper", *numbers],
            stdin=subprocess.PIPE,
            env={},
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """End the shell alone: the processes have been seen to."""
        self._shell.kill()
        self._shell.communicate()
