"""What a benchmark is: a row of the table, who takes part in it, and what is aimed at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["OURS", "Case", "Contender", "Row", "Sizes"]

OURS = "halfsim"
"""Name of the contender that all others are compared with."""


class Sizes(NamedTuple):
    """How large the operands are."""

    elements: int = 1_000_000
    order: int = 512
    """M = N = K of products."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who does the work of a row.

    Parameters
    ----------
    name : str
        As in the table.
    call : callable
        Does the work once and returns what it made.
    work : int
        Elements, or multiply-adds, of one call; slow peers take a part of the operands.
    bytes : int
        Bytes of operands and results of one call.
    answer : callable, optional
        Turns what a call made into an array to compare; None if the contender computes something else.
    part : object
        Index of the part of halfsim's result that it computes.
    note : str
        What it does otherwise.
    """

    name: str
    call: Callable[[], Any]
    work: int
    bytes: int = 0
    answer: Callable[[Any], Any] | None = None
    part: Any = ...
    note: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """The contenders of a row with operands of one size.

    Parameters
    ----------
    ours : Contender
        The one named `OURS`; its `answer` is what the others' are compared with.
    peers : sequence of Contender
        Everybody else who is installed.
    operands : int
        Bytes of the operands alone: the measure of extra memory.
    roof : str
        The peer that nothing can be faster than.
    by_bytes : bool
        Whether the roof is memory, so that bytes and not work per second are compared with it.
    """

    ours: Contender
    peers: Sequence[Contender]
    operands: int
    roof: str
    by_bytes: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Parameters
    ----------
    family : str
        Group of rows.
    name : str
        What is done.
    unit : str
        What is counted: ``elements`` or ``multiply-adds``.
    make : callable
        Return the case for a `Sizes`.
    targets : mapping of str to (floor, goal)
        For a peer, how many times faster halfsim must be, and is meant to be.
    """

    family: str
    name: str
    unit: str
    make: Callable[[Sizes], Case]
    targets: Mapping[str, tuple[float, float]] = field(default_factory=dict)
