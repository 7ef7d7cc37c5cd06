"""Threads that start while a simulation runs: PyTorch's modes do not reach them."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

__all__ = ["Started"]

_OWN = "halfsim"
"""How the names of threads begin that compute parts of simulated operators."""


class Started:
    """Notes the threads that start while it is entered.

    Attributes
    ----------
    names : list of str
        Names of the threads.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._before: Any = None

    def __enter__(self) -> Started:
        self._before = threading.getprofile()
        # Called in a new thread before anything else is; what was there is put in its place at once.
        threading.setprofile(self._begin)
        return self

    def __exit__(self, *error: object) -> None:
        threading.setprofile(self._before)

    def _begin(self, frame: FrameType, event: str, argument: Any) -> None:
        sys.setprofile(self._before)
        name = threading.current_thread().name
        if not name.startswith(_OWN):
            self.names.append(name)

    def notes(self) -> list[str]:
        """Return a sentence, if a thread started."""
        if not self.names:
            return []
        listed = ", ".join(map(repr, self.names[:3])) + (", ..." if len(self.names) > 3 else "")
        return [
            f"threads started inside of the block ({listed}): what they compute by functions is not simulated, and not "
            "listed, as PyTorch has modes by thread; compute it in the thread of the block"
        ]
