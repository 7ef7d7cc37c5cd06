"""A progress bar on standard error: rich's where it is installed and a terminal listens, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """Shows how many runs are done and how long the rest will take.

    Parameters
    ----------
    total, done : int
        Runs in all, and runs that were found finished.
    shown : bool
        False shows nothing.
    """

    def __init__(self, total: int, done: int, shown: bool) -> None:
        self._total, self._done, self._shown = total, done, shown
        self._found = done
        self._started = self._last = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if not self._shown:
            return self
        if self._found:
            print(f"{self._found} of {self._total} runs are already there", file=sys.stderr)
        if self._total > self._found and sys.stderr.isatty():
            self._open_bar()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, what: str) -> None:
        """Count one more run; `what` names it."""
        self._done += 1
        if not self._shown:
            return
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, description=what)
            return
        now = time.monotonic()
        if now - self._last >= 5 or self._done == self._total:
            self._last = now
            left = (now - self._started) / (self._done - self._found) * (self._total - self._done)
            print(f"{self._done} of {self._total} runs, about {left:.0f} s left", file=sys.stderr, flush=True)

    def _open_bar(self) -> None:
        try:
            from rich import progress
            from rich.console import Console
        except ModuleNotFoundError:
            return
        columns = (
            progress.TextColumn("[bold]training[/]"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            progress.TextColumn("[dim]{task.description}[/]"),
        )
        self._bar = progress.Progress(*columns, console=Console(stderr=True))
        self._task = self._bar.add_task("compiling kernels", total=self._total, completed=self._done)
        self._bar.start()
