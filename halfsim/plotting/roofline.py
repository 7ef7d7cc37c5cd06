"""How near the hardware's limits rows of a benchmark come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from halfsim.plotting.style import COLOURS, INK, below, tidy, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["roofline"]

_MARKERS: tuple[Any, ...] = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "h", ">", "p", "d", "8", (4, 1, 0))
# As many markers as colours have no common divisor: a hundred series have looks of their own. The colours of peers
# begin elsewhere, for a marker that both have.
_PEERS = 3
_POINTS = 72  # of an inch
_COLUMN = 130  # points of the legend
_ABOVE = 34  # points from the axis to the legend


def roofline(
    axes: Axes, series: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, bandwidth: float, peak: float, ours: int
) -> Axes:
    """Draw work per second over work per byte, under the two roofs: memory's speed and arithmetic's.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    series : sequence of (name, sequence of (work per byte, work per second))
        A mark for each pair, in units and units per second.
    bandwidth : float
        Bytes per second of a copy.
    peak : float
        Work per second of the fastest arithmetic.
    ours : int
        The first so many series are filled; the others, the peers, are hollow.

    Returns
    -------
    Axes
        `axes`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from halfsim.plotting import roofline
    >>> series = [("conversions", [(1 / 6, 4e9)]), ("numpy", [(1 / 6, 5e8)])]
    >>> axes = roofline(Figure().subplots(), series, bandwidth=2e10, peak=9e10, ours=1)
    >>> axes.get_xscale()
    'log'
    """
    points = [point for _, values in series for point in values]
    left, right = min([x for x, _ in points] + [0.1]) / 2, max([x for x, _ in points] + [100.0]) * 2
    # The corner is one of the points, or the line would cut it off.
    corner = peak / bandwidth
    x = np.array(sorted({left, corner, right}))
    axes.plot(x, np.minimum(bandwidth * x, peak), color=INK, linewidth=1.4)
    for number, (name, values) in enumerate(series):
        _marks(axes, name, values, *_look(number, number - ours))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    # Nothing is drawn above the roofs but their names.
    axes.set_ylim(top=4 * max([peak] + [y for _, y in points]))
    middle = (left * corner**3) ** 0.25
    _name(axes, "memory (a copy)", 0.0, (middle, bandwidth * middle))
    _name(axes, "arithmetic (sgemm)", 1.0, ((right * corner) ** 0.5, peak))
    axes.set_xlabel("work per byte (elements or multiply-adds)")
    axes.set_ylabel("work per second on one thread")
    axes.set_title("filled: halfsim, hollow: its peers", loc="left", fontsize=9)
    _list(tidy(axes))
    return axes


def _look(number: int, peer: int) -> tuple[Any, str, bool]:
    """Return marker, colour and whether it is hollow of a series; `peer` numbers the peers, negative before them."""
    place, turn = (number, 0) if peer < 0 else (peer, _PEERS)
    return _MARKERS[place % len(_MARKERS)], COLOURS[1 + (place + turn) % (len(COLOURS) - 1)], peer >= 0


def _marks(
    axes: Axes, name: str, values: Sequence[tuple[float, float]], marker: Any, colour: str, hollow: bool
) -> None:
    axes.plot(
        [x for x, _ in values],
        [y for _, y in values],
        linestyle="none",
        marker=marker,
        markersize=6,
        markerfacecolor="none" if hollow else colour,
        markeredgecolor=colour,
        label=written(name),
    )


def _name(axes: Axes, name: str, side: float, where: tuple[float, float]) -> None:
    """Write the name of a roof above all marks, at the left or right, with a line to the roof."""
    from matplotlib.transforms import offset_copy

    figure: Any = axes.figure
    axes.annotate(
        name,
        where,
        (side, 1),
        textcoords=offset_copy(axes.transAxes, figure, 4 - 8 * side, -2, units="points"),
        ha="right" if side else "left",
        va="top",
        color=INK,
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.6},
    )


def _list(axes: Axes) -> None:
    """Put the legend under the name of the axis, in as many columns as there is room for."""
    from matplotlib.transforms import offset_copy

    figure: Any = axes.figure
    columns = max(1, int(figure.bbox.width / figure.dpi * _POINTS // _COLUMN))
    below(axes, columns=columns)
    legend = axes.get_legend()
    if legend is not None:
        legend.set_bbox_to_anchor((0.5, 0), offset_copy(axes.transAxes, figure, 0, -_ABOVE, units="points"))
