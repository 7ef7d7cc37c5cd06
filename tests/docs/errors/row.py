"""A row of the table of errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Row"]


class Row(NamedTuple):
    """A call that raises: of the function of that name, in an empty folder."""

    name: str
    call: Callable[[Any, Path], object]
    error: type[BaseException]
    message: str
