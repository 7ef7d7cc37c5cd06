"""Figures, one function each: Axes in, Axes out. Needs matplotlib (extra ``studies``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "gradient_histogram", "learning_curves"]

COLOURS = ("#4d4d4d", "#0072b2", "#d55e00", "#cc79a7", "#009e73", "#e69f00", "#56b4e9", "#8c564b")
"""Distinguishable without colour vision (Okabe and Ito), the baseline's grey first."""

_DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", "-", "-", (0, (6, 2)), (0, (5, 2)), (0, (1.5, 1.5)), "-.")  # type: ignore[assignment]


def learning_curves(
    axes: Axes,
    steps: Sequence[int],
    curves: Sequence[tuple[str, Sequence[Sequence[float]]]],
    *,
    ylabel: str,
    percent: bool = False,
) -> Axes:
    """Draw one line per policy, the mean over seeds, in a band of one standard deviation.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    steps : sequence of int
        Horizontal positions.
    curves : sequence of (label, values)
        Values are one sequence per seed; the first curve is the baseline, drawn wide and grey beneath the others.
    ylabel : str
        What the values are.
    percent : bool
        Whether to show them times 100.

    Returns
    -------
    Axes
        `axes`.
    """
    for i, (label, values) in enumerate(curves):
        array = np.array(values, np.float64) * (100 if percent else 1)
        mean, spread = array.mean(axis=0), array.std(axis=0, ddof=1 if len(array) > 1 else 0)
        colour, wide = COLOURS[i % len(COLOURS)], i == 0
        axes.fill_between(steps, mean - spread, mean + spread, color=colour, alpha=0.12, linewidth=0)
        axes.plot(
            steps, mean, color=colour, linestyle=_DASHES[i % len(_DASHES)], label=label, alpha=0.45 if wide else 1,
            linewidth=6 if wide else 1.8, solid_capstyle="round", zorder=2 + 0.1 * i,
        )
    axes.set_xlabel("step")
    axes.set_ylabel(ylabel)
    axes.set_xlim(steps[0], steps[-1])
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def gradient_histogram(
    axes: Axes, curves: Sequence[tuple[str, Sequence[int]]], *, lowest: int = -60, scale: float | None = None
) -> Axes:
    """Draw the histogram of log2|gradient| over binary16's zones.

    Below 2^-25 a gradient is stored as zero (a tie at 2^-25 is even: zero); below 2^-14 it is subnormal and loses
    precision; from 65520 on it is stored as infinity.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    curves : sequence of (label, counts)
        Counts of exact zeros, of unit bins of floor(log2|g|) from `lowest` up, and of infinities and NaNs last.
    lowest : int
        Exponent of the first bin.
    scale : float, optional
        A loss scale, shown as an arrow that long.

    Returns
    -------
    Axes
        `axes`.
    """
    top = 0.0
    for i, (label, counts) in enumerate(curves):
        array = np.array(counts, np.float64)
        share = 100 * array[1:-1] / max(array.sum(), 1)
        edges = lowest + np.arange(len(share) + 1)
        top = max(top, float(share.max()))
        colour = COLOURS[1 + i]
        axes.stairs(share, edges, fill=True, color=colour, alpha=0.25)
        zeros = f"{100 * array[0] / max(array.sum(), 1):.0f} % exact zeros"
        flushed = 100 * array[1 : 1 + (-25 - lowest)].sum() / max(array[1:-1].sum(), 1)
        axes.stairs(share, edges, color=colour, linewidth=1.6, label=f"{label} ({zeros}; {flushed:.0f} % of the rest below 2$^{{-25}}$)")
    height = 1.32 * top if top else 1.0
    zones = ((lowest, -25, "#b2182b", "stored as zero"), (-25, -14, "#ef8a62", "subnormal"), (-14, 16, "#f7f7f7", "normal"))
    for left, right, colour, name in zones:
        axes.axvspan(left, right, color=colour, alpha=0.16, linewidth=0, zorder=0)
        axes.axvline(right, color="#777777", linewidth=0.8, linestyle=":", zorder=1)
        centre = (max(left, -46) + min(right, 4)) / 2
        axes.text(centre, 0.965 * height, name, ha="center", va="top", fontsize=9, color="#444444")
    if scale is not None:
        start, length = -24.0 - np.log2(scale), np.log2(scale)
        axes.annotate(
            "", (start + length, 0.86 * height), (start, 0.86 * height), arrowprops={"arrowstyle": "-|>", "color": "#222222"}
        )
        axes.text(start + length / 2, 0.875 * height, f"× {scale:g}", ha="center", va="bottom", fontsize=9)
    axes.set_xlim(-46, 4)
    axes.set_ylim(0, height)
    axes.set_xlabel("log$_2$ |gradient|, without loss scale")
    axes.set_ylabel("share of all elements, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(0, 0.84))
    return axes
