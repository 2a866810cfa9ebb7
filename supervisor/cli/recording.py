"""What is shown, shown again on a console that keeps it as a picture."""

import io
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, RenderableType

from supervisor.cli.board import CouncilView, settled
from supervisor.cli.live import View
from supervisor.cli.picture import board
from supervisor.client import Event

WIDTH = 112


class Recording:
    """Shows views on `console`; with a `file` also keeps them, and a live moment, for `save`."""

    def __init__(self, console: Console, file: Path | None) -> None:
        self.console = console
        self._file = file
        self._shown: list[RenderableType] = []
        self._moment: RenderableType = ""
        self._place = 0

    def show(self, *views: RenderableType, kept: bool = True) -> None:
        """Print views; what is not `kept` is left out of the picture, to keep it small."""
        for view in views:
            self.console.print(view)
        if kept:
            self._shown += views

    def seeing(self, view: View, councils: Sequence[CouncilView]) -> View:
        """Return `view`, keeping the last picture in which most seats still write."""
        if self._file is None:
            return view
        self._place = len(self._shown)
        seats = sum(len(council.seats) for council in councils)

        def see(council: CouncilView, event: Event | None) -> None:
            view(council, event)
            if settled(councils) <= seats // 2:
                self._moment = board(councils, time.perf_counter(), WIDTH)

        return see

    def save(self) -> None:
        """Write the picture, if one was asked for."""
        if self._file is None:
            return
        recorder = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
        for view in (*self._shown[: self._place], self._moment, *self._shown[self._place :]):
            recorder.print(view, highlight=False)
        recorder.save_svg(str(self._file), title="conclave demo")
