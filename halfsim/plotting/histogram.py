"""Where gradients lie on the scale of binary16."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from halfsim.plotting.style import COLOURS, FAINT, INK, ZONES, below, tidy, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["gradient_histogram"]

_VIEW = (-46, 20)
# Up to 2^-25 the nearest binary16 number is zero (the tie goes to even); up to 2^-24 it is the smallest subnormal.
_ZERO, _TINY, _NORMAL, _INFINITE = -25, -24, -14, 16


def gradient_histogram(
    axes: Axes,
    curves: Sequence[tuple[str, Sequence[int]]],
    *,
    lowest: int = -60,
    scale: float | None = None,
    scaled: bool = False,
) -> Axes:
    """Draw the histogram of log2|gradient| over binary16's zones.

    Up to 2^-25 a gradient is stored as zero (the tie goes to even); from there to 2^-24 it is rounded up to the
    smallest subnormal; below 2^-14 it is subnormal and loses precision; from 65520 on it is stored as infinity.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    curves : sequence of (label, counts)
        Counts of exact zeros, of unit bins of floor(log2|g|) from `lowest` up, and of infinities and NaNs last.
    lowest : int
        Exponent of the first bin.
    scale : float, optional
        A loss scale, shown as an arrow that long: it moves everything right by log2 of it.
    scaled : bool
        Whether the gradients hold a loss scale already.

    Returns
    -------
    Axes
        `axes`.

    References
    ----------
    Figures 2b and 3 of P. Micikevicius et al., "Mixed Precision Training" [@micikevicius2018].

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from halfsim.plotting import gradient_histogram
    >>> counts = [0] * 79
    >>> counts[1 + 60 - 20] = 5  # five gradients in [2^-20, 2^-19)
    >>> axes = gradient_histogram(Figure().subplots(), [("weight gradients", counts)], scale=1024.0)
    >>> axes.get_ylabel()
    'share of all elements, %'
    """
    shares = []
    for i, (name, counts) in enumerate(curves):
        array = np.array(counts, np.float64)
        shares.append(100 * array[1:-1] / max(array.sum(), 1))
        edges = lowest + np.arange(len(array) - 1)
        colour = COLOURS[1 + i]
        axes.stairs(shares[-1], edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(shares[-1], edges, color=colour, linewidth=1.6, label=written(name) + _note(array, lowest))
    # Above the bars there is a row for the arrow, and one for the names of the zones.
    height = 1.32 * max((float(share.max()) for share in shares), default=0.0) or 1.0
    _zones(axes, height)
    if scale is not None and shares:
        start, level = lowest + int(shares[0].argmax()) + 0.5, 0.83 * height
        end = start + np.log2(scale)
        axes.annotate("", (end, level), (start, level), arrowprops={"arrowstyle": "-|>", "color": INK})
        axes.text(start - 0.4, level, f"× {_written_scale(scale)}", ha="right", va="center", fontsize=9, color=INK)
    axes.set_xlim(*_VIEW)
    axes.set_ylim(0, height)
    axes.set_xlabel(f"log$_2$ |gradient|, {'with its' if scaled else 'without'} loss scale")
    axes.set_ylabel("share of all elements, %")
    below(tidy(axes, grid="none"), columns=1)
    return axes


def _written_scale(scale: float) -> str:
    """Return a scale as a number, or as a power of two where that is short and the number is not."""
    fraction, exponent = math.frexp(scale)
    return f"2$^{{{exponent - 1}}}$" if fraction == 0.5 and "e" in f"{scale:g}" else f"{scale:g}"


def _note(counts: np.ndarray[tuple[int], np.dtype[np.float64]], lowest: int) -> str:
    """Return the shares that the drawing cannot show: zeros, and what becomes zero."""
    flushed = 100 * counts[1 : 1 + _ZERO - lowest].sum() / max(counts[1:-1].sum(), 1)
    zeros = 100 * counts[0] / max(counts.sum(), 1)
    broken = f", {int(counts[-1])} not finite" if counts[-1] else ""
    return f": {zeros:.0f} % exact zeros, {flushed:.0f} % of the others below $2^{{-25}}${broken}"


def _zones(axes: Axes, height: float) -> None:
    """Shade what binary16 stores as zero, as a subnormal and as infinity; name all four."""
    zones = (
        (_VIEW[0], _ZERO, ZONES["zero"], 0.2, "stored as zero"),
        (_ZERO, _TINY, ZONES["zero"], 0.1, ""),
        (_TINY, _NORMAL, ZONES["subnormal"], 0.18, "subnormal"),
        (_NORMAL, _INFINITE, "none", 0.0, "normal"),
        (_INFINITE, _VIEW[1], ZONES["infinite"], 0.18, "∞"),
    )
    for edge in (_ZERO, _NORMAL, _INFINITE):
        axes.axvline(edge, color=FAINT, linewidth=0.9, linestyle=":", zorder=1)
    for left, right, colour, alpha, name in zones:
        axes.axvspan(left, right, color=colour, alpha=alpha, linewidth=0, zorder=0)
        if name:
            axes.text((left + right) / 2, 0.975 * height, name, ha="center", va="top", fontsize=9, color=INK)
