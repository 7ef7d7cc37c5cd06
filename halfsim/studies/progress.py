"""A progress bar on standard error: rich's where it is installed and a terminal listens, plain lines otherwise."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from halfsim.studies.folder import RunFolder

__all__ = ["Progress"]

_LOOK, _SAY = 0.5, 5.0


class Progress:
    """Shows how many runs are done and how long the rest will take, counting the steps of unfinished ones.

    The steps are read from the folders of the runs, so it does not matter who makes them where.

    Parameters
    ----------
    folder : Path
        Where every run has its folder.
    waiting : dict of str to int
        Steps of every run that is not finished, by its name.
    total : int
        Runs in all.
    shown : bool
        False shows nothing.
    """

    def __init__(self, folder: Path, waiting: Mapping[str, int], total: int, shown: bool) -> None:
        self._folder, self._waiting, self._shown = folder, dict(waiting), shown
        self._total, self._found = total, total - len(waiting)
        self._done = self._found
        self._lock, self._end = threading.Lock(), threading.Event()
        self._said = time.monotonic()
        self._before = self._parts() if shown else 0.0
        self._moving: tuple[float, float] | None = None
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if not self._shown:
            return self
        if self._found:
            print(f"{self._found} of {self._total} runs are already there", file=sys.stderr)
        if self._total > self._found:
            if sys.stderr.isatty():
                self._open_bar()
            self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._watcher.is_alive():
            self._watcher.join()
        if self._bar is not None:
            self._bar.stop()

    def advance(self, name: str, what: str) -> None:
        """Count one more run, `name`; `what` describes it."""
        with self._lock:
            self._done += 1
            del self._waiting[name]
        if self._shown:
            self._show(what)

    def _watch(self) -> None:
        while not self._end.wait(_LOOK):
            self._show()

    def _parts(self) -> float:
        """Return how many runs the steps of the unfinished ones amount to."""
        return sum(min(RunFolder(self._folder / name).step() / steps, 1.0) for name, steps in self._waiting.items())

    def _show(self, what: str | None = None) -> None:
        with self._lock:
            made = self._done - self._found + self._parts()
            if self._bar is not None:
                described = {} if what is None else {"description": what}
                self._bar.update(self._task, completed=self._found + made, **described)
                return
            now = time.monotonic()
            if self._moving is None and made > self._before:
                # What went before was compiling, which happens once.
                self._moving = now, made
            last = what is not None and self._done == self._total
            if not last and now - self._said < _SAY:
                return
            self._said = now
            began, first = self._moving or (now, made)
            rest = self._total - self._found - made
            left = f"{(now - began) / (made - first) * rest:.0f} s" if made > first else "?" if rest else "0 s"
            print(f"{self._done} of {self._total} runs, about {left} left", file=sys.stderr, flush=True)

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
        self._task = self._bar.add_task("compiling kernels", total=self._total, completed=self._found + self._before)
        self._bar.start()
