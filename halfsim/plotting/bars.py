"""Figures of computed tables with a bar per row: loss scales that serve, and memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from halfsim.plotting.style import COLOURS, INK, below, tidy, wrapped, written
from halfsim.plotting.tables import Rows, check_columns, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["bar_names", "memory_bars", "required_scale"]


def required_scale(
    axes: Axes,
    rows: Rows,
    *,
    by: str | Sequence[str] = "model",
    smallest: Sequence[str] = ("smallest_99", "smallest_999"),
    largest: str = "largest",
    labels: Sequence[str] = ("keeps 99 %", "keeps 99.9 %", "largest without overflow"),
) -> Axes:
    """Draw which loss scales serve a model: a bar from the smallest that keeps enough to the largest that is finite.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    rows : sequence of mapping
        One per bar, with the columns named below; a value of None is left out.
    by : str or sequence of str
        Column of the name, or columns that make it up.
    smallest : sequence of str
        Columns of the smallest scale that keeps a share of the gradients, the least share first.
    largest : str
        Column of the largest scale without overflow.
    labels : sequence of str
        Of the markers of `smallest`, and of `largest` last.

    Returns
    -------
    Axes
        `axes`.

    Raises
    ------
    ValueError
        If a row lacks a column.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from halfsim.plotting import required_scale
    >>> rows = [{"model": "detector", "smallest_99": 64.0, "smallest_999": 512.0, "largest": 2.0**24}]
    >>> required_scale(Figure().subplots(), rows).get_xscale()
    'log'
    """
    check_columns("required_scale", rows, by=by, smallest=smallest, largest=largest)
    axes.set_xscale("log", base=2)
    axes.axvline(1, color=INK, linewidth=0.8, linestyle=":")
    for i, row in enumerate(rows):
        ends = [number(row[column]) for column in (*smallest, largest)]
        if ends[0] <= ends[-1]:
            axes.barh(i, ends[-1] - ends[0], left=ends[0], height=0.42, color=COLOURS[6], alpha=0.35)
        for value, colour, marker in zip(ends, (COLOURS[1], COLOURS[4], COLOURS[2]), "osD", strict=False):
            axes.plot([value], [i], marker, color=colour, markersize=7)
    for label, colour, marker in zip(labels, (COLOURS[1], COLOURS[4], COLOURS[2]), "osD", strict=False):
        axes.plot([], [], marker, color=colour, markersize=7, label=written(label))
    columns = [by] if isinstance(by, str) else by
    _names(axes, [", ".join(str(row[column]) for column in columns) for row in rows])
    scales = [number(row[column]) for row in rows for column in (*smallest, largest)]
    finite = [1.0, *(scale for scale in scales if 0 < scale < math.inf)]
    axes.set_xlim(min(finite) / 4, max(finite) * 4)
    axes.set_xlabel("loss scale S")
    below(tidy(axes, grid="x"))
    return axes


def memory_bars(axes: Axes, rows: Rows, *, by: str = "policy", classes: Sequence[str] | None = None) -> Axes:
    """Draw the bytes that each policy holds, a bar of parts per policy, with its share of the first bar.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    rows : sequence of mapping
        One per bar: its name in column `by`, and bytes per class of tensor.
    by : str
        Column of the name.
    classes : sequence of str, optional
        Columns to stack; by default all others.

    Returns
    -------
    Axes
        `axes`.

    Raises
    ------
    ValueError
        If a row lacks the column `by`, or all rows one of `classes`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from halfsim.plotting import memory_bars
    >>> rows = [{"policy": "binary32", "weights": 400, "activations": 9000}]
    >>> memory_bars(Figure().subplots(), rows).get_xlabel()
    'memory, kB'
    """
    check_columns("memory_bars", rows, by=by)
    held = list(dict.fromkeys(key for row in rows for key in row if key != by))
    classes = held if classes is None else classes
    if absent := [name for name in classes if name not in held]:
        raise ValueError(
            f"memory_bars: classes={list(classes)} asks for {absent[0]!r}, a column that no row has; "
            f"pass some of {held}"
        )
    totals = [sum(_bytes(row, name) for name in classes) for row in rows]
    unit, factor = _unit(max(totals, default=0))
    left = np.zeros(len(rows))
    for i, name in enumerate(classes):
        width = np.array([_bytes(row, name) / factor for row in rows])
        colour, hatch = COLOURS[1 + i % 7], ("", "//", "..")[i // 7 % 3]
        axes.barh(range(len(rows)), width, left=left, color=colour, alpha=0.85, hatch=hatch, height=0.62,
                  label=written(name))  # fmt: skip
        left += width
    for i, total in enumerate(totals):
        share = f"  {total / totals[0]:.2f} ×" if totals[0] else ""
        axes.text(total / factor, i, share, va="center", ha="left", fontsize=9, color=INK)
    _names(axes, [row[by] for row in rows])
    axes.set_xlim(0, 1.15 * max(max(totals, default=0) / factor, 1e-9))
    axes.set_xlabel(f"memory, {unit}")
    below(tidy(axes, grid="x"))
    return axes


def bar_names(names: Sequence[object]) -> list[str]:
    """Return the names of bars as they are written beside them, long ones in several lines."""
    width = 20 if max((len(str(name)) for name in names), default=0) <= 60 else 30
    return [wrapped(name, width) for name in names]


def _names(axes: Axes, names: Sequence[object]) -> None:
    """Name the bars, the first on top; long names take several lines, so that the bars have room."""
    axes.set_yticks(range(len(names)), bar_names(names))
    axes.set_ylim(len(names) - 0.5, -0.5)


def _bytes(row: Mapping[str, Any], name: str) -> float:
    return float(row.get(name) or 0)


def _unit(largest: float) -> tuple[str, float]:
    """Return a decimal unit in which the largest number has at most three digits before the point."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if largest >= factor:
            return unit, factor
    return "bytes", 1.0
