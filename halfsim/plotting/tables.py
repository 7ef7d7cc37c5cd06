"""Figures of computed tables: every function takes the rows of a table, each a mapping of column to value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from halfsim.plotting.style import INK, Look, below, looks_of, tidy, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Rows", "check_columns", "disagreement", "error_against_length", "lost_updates", "number"]

Rows: TypeAlias = Sequence[Mapping[str, Any]]


def error_against_length(
    axes: Axes,
    rows: Rows,
    *,
    by: str = "accumulator",
    length: str = "K",
    error: str = "error",
    ylabel: str = "relative error",
    only: Sequence[str] | None = None,
    looks: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw the error of sums against their length, both logarithmic, a line per accumulator.

    Several rows of one accumulator and length make a band from the least to the greatest error; the line is their
    median. An error of zero has no place on a logarithmic axis and is left out; one that is not finite is, too.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    rows : sequence of mapping
        With the columns named below.
    by, length, error : str
        Columns: what distinguishes the lines, number of addends, error.
    ylabel : str
        What the error is.
    only : sequence of str, optional
        Which lines to draw, in this order; by default all.
    looks : mapping of name to Look, optional
        As `palette` returns.

    Returns
    -------
    Axes
        `axes`.

    Raises
    ------
    ValueError
        If a row lacks a column, or none is of a line that `only` names.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from halfsim.plotting import error_against_length
    >>> rows = [{"accumulator": "fp16", "K": k, "error": k / 2**20} for k in (64, 1024)]
    >>> error_against_length(Figure().subplots(), rows).get_xscale()
    'log'
    """
    check_columns("error_against_length", rows, by=by, length=length, error=error)
    lines = list(dict.fromkeys(str(row[by]) for row in rows))
    names = lines if only is None else list(only)
    if absent := [name for name in names if name not in lines]:
        raise ValueError(
            f"error_against_length: only={list(names)} asks for {absent[0]!r}, which no row has in the column {by!r}; "
            f"pass some of {lines}"
        )
    looks = looks_of(names, looks)
    for name in names:
        found: dict[int, list[float]] = {}
        for row in rows:
            if str(row[by]) == name and (value := number(row[error])) > 0:
                found.setdefault(row[length], []).append(value)
        places, look = sorted(found), looks[name]
        axes.fill_between(places, [min(found[k]) for k in places], [max(found[k]) for k in places],
                          color=look.colour, alpha=0.15, linewidth=0)  # fmt: skip
        axes.plot(places, [float(np.median(found[k])) for k in places], color=look.colour, linestyle=look.dash,
                  marker=look.marker, markersize=5, label=written(name))  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel(f"number of addends {written(length)}")
    axes.set_ylabel(written(ylabel))
    below(tidy(axes))
    return axes


def lost_updates(
    axes: Axes,
    rows: Rows,
    *,
    by: str = "policy",
    lost: str = "updates_lost",
    gap: str = "accuracy_gap",
    looks: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw the gap in accuracy to the baseline against the share of lost updates, a point per row.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    rows : sequence of mapping
        With the columns named below.
    by, lost, gap : str
        Columns: what distinguishes the markers, share of lost updates and accuracy less the baseline's, 1 is all.
    looks : mapping of name to Look, optional
        As `palette` returns.

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
    >>> from halfsim.plotting import lost_updates
    >>> rows = [{"policy": "binary16 weights", "updates_lost": 0.93, "accuracy_gap": -0.66}]
    >>> lost_updates(Figure().subplots(), rows).get_xlabel()
    'updates lost, %'
    """
    check_columns("lost_updates", rows, by=by, lost=lost, gap=gap)
    names = list(dict.fromkeys(str(row[by]) for row in rows))
    looks = looks_of(names, looks)
    axes.axhline(0, color=INK, linewidth=0.8)
    for name in names:
        points = [(100 * number(row[lost]), 100 * number(row[gap])) for row in rows if str(row[by]) == name]
        x, y = zip(*points, strict=True)
        axes.plot(x, y, looks[name].marker, color=looks[name].colour, markersize=7, alpha=0.85, label=written(name))
    axes.set_xlim(-2, 102)
    axes.set_xlabel("updates lost, %")
    axes.set_ylabel("accuracy less the baseline's, points")
    below(tidy(axes))
    return axes


def disagreement(
    axes: Axes, rows: Rows, *, first: str = "first", second: str = "second", share: str = "share", title: str = ""
) -> Axes:
    """Draw how often two sides disagree, a cell per pair, darker for more, with the number in it.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    rows : sequence of mapping
        One per pair, either order; the other order and the diagonal need not be there.
    first, second, share : str
        Columns: the two names, and the share of results that differ, from 0 to 1.
    title : str
        What was compared.

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
    >>> from halfsim.plotting import disagreement
    >>> rows = [{"first": "V100", "second": "H100", "share": 0.25}]
    >>> [text.get_text() for text in disagreement(Figure().subplots(), rows).texts]
    ['25 %', '25 %']
    """
    check_columns("disagreement", rows, first=first, second=second, share=share)
    names = list(dict.fromkeys(str(row[side]) for row in rows for side in (first, second)))
    table = np.full((len(names), len(names)), np.nan)
    for row in rows:
        i, j = names.index(str(row[first])), names.index(str(row[second]))
        table[i, j] = table[j, i] = number(row[share])
    axes.imshow(100 * table, cmap="cividis_r", vmin=0, vmax=100, interpolation="nearest")
    for i, j in zip(*np.nonzero(np.isfinite(table)), strict=True):
        # Dark cells take light numbers, on a light page and on a dark one.
        colour = "#f8f8f8" if table[i, j] > 0.55 else "#101418"
        axes.text(j, i, f"{_percent(table[i, j])} %", ha="center", va="center", fontsize=9, color=colour)
    axes.set_xticks(
        range(len(names)), [written(name) for name in names], rotation=35, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(names)), [written(name) for name in names])
    if title:
        axes.set_title(written(title), fontsize=10)
    tidy(axes, grid="none")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return axes


def check_columns(name: str, rows: Rows, /, **columns: str | Sequence[str]) -> None:
    """Raise a `ValueError` if a row of a figure's table lacks a column that a parameter of the figure names."""
    for parameter, named in columns.items():
        for column in [named] if isinstance(named, str) else named:
            for i, row in enumerate(rows):
                if column not in row:
                    raise ValueError(
                        f"{name}: row {i} has no column {column!r}, as {parameter}= names it; "
                        f"its columns are {list(row)}"
                    )


def number(value: Any) -> float:
    """Return a value of a table, NaN for none (JSON has no NaN)."""
    return math.nan if value is None else float(value)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share == 0 or share >= 0.01 else f"{100 * share:.2g}"
