"""How near the hardware's limits rows of a benchmark come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from halfsim.plotting.style import COLOURS, INK, Look, below, palette, tidy, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["roofline"]


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
        The first so many series are filled; the others, the peers, are hollow and grey.

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
    x = np.array(sorted({left, peak / bandwidth, right}))
    axes.plot(x, np.minimum(bandwidth * x, peak), color=INK, linewidth=1.4)
    middle = (left * peak / bandwidth) ** 0.5
    where = (middle, min(bandwidth * middle, peak))
    axes.annotate("memory (a copy)", where, (10, -8), textcoords="offset points", color=INK, fontsize=9, va="top")
    axes.annotate(
        "arithmetic (sgemm)", (right, peak), (-4, 5), textcoords="offset points", ha="right", color=INK, fontsize=9
    )
    for hollow, drawn in ((False, series[:ours]), (True, series[ours:])):
        # The palette's first look is the baseline's: nobody's here.
        looks = list(palette(["", *(name for name, _ in drawn)]).values())[1:]
        for (name, values), look in zip(drawn, looks, strict=True):
            _marks(axes, name, values, look, hollow=hollow)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_xlabel("work per byte (elements or multiply-adds)")
    axes.set_ylabel("work per second on one thread")
    axes.set_title("filled: halfsim, hollow: its peers", loc="left", fontsize=9)
    below(tidy(axes), columns=3)
    return axes


def _marks(axes: Axes, name: str, values: Sequence[tuple[float, float]], look: Look, *, hollow: bool) -> None:
    colour = COLOURS[0] if hollow else look.colour
    axes.plot(
        [x for x, _ in values],
        [y for _, y in values],
        linestyle="none",
        marker=look.marker,
        markersize=6,
        markerfacecolor="none" if hollow else colour,
        markeredgecolor=colour,
        label=written(name),
    )
