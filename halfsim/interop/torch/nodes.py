"""What is known of the nodes of autograd, which it numbers in the order of their making."""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

import torch

__all__ = ["ACCUMULATE", "Nodes"]

ACCUMULATE = 1 << 63
"""Nodes that add a gradient to a parameter have numbers from here."""
_LIMIT = 1 << 18
"""Runs that are kept: of nodes older than the last half of them nothing is known."""
_sequence = torch._C._autograd._get_sequence_nr

T = TypeVar("T")


class Nodes(Generic[T]):
    """Remembers something of every node, by runs of nodes of which the same holds.

    Parameters
    ----------
    unknown : T
        What holds for nodes of which nothing is known.

    Attributes
    ----------
    seen : int
        The number of the first node that may have been made since the last note.
    """

    def __init__(self, unknown: T) -> None:
        self._unknown = unknown
        self._starts, self._values = [-1], [unknown]
        self.seen = _sequence()

    def note(self, value: T, start: int | None = None) -> None:
        """Note what holds for the nodes that are made from now on, or were from a start: an operator's before it."""
        self.seen = _sequence()
        if self._values[-1] == value:
            return
        start = self.seen if start is None else start
        if self._starts[-1] == start:
            # Nothing was made since.
            self._values[-1] = value
            return
        self._starts.append(start)
        self._values.append(value)
        if len(self._starts) > _LIMIT:
            self._starts[1 : _LIMIT // 2] = []
            self._values[1 : _LIMIT // 2] = []
            self._values[0] = self._unknown

    def at(self, number: int) -> T:
        """Return what holds for the node of a number."""
        return self._unknown if number >= ACCUMULATE else self._values[bisect_right(self._starts, number) - 1]
