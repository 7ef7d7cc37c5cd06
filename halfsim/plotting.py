"""Figures, one function each: Axes in, Axes out. Needs matplotlib (extra ``studies``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "gradient_histogram", "learning_curves"]

COLOURS = ("#4d4d4d", "#0072b2", "#d55e00", "#cc79a7", "#009e73", "#e69f00", "#56b4e9", "#8c564b")
"""Distinguishable without colour vision (Okabe and Ito), the baseline's grey first."""

_DASHES: tuple[Any, ...] = ("-", "-", "-", (0, (6, 2)), (0, (5, 2)), (0, (1.5, 1.5)), "-.")
_VIEW = (-46, 8)


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
        axes.fill_between(steps, mean - spread, mean + spread, color=colour, alpha=0.1, linewidth=0)
        axes.plot(
            steps,
            mean,
            color=colour,
            linestyle=_DASHES[i % len(_DASHES)],
            label=label,
            alpha=0.45 if wide else 1,
            linewidth=6 if wide else 1.8,
            solid_capstyle="round",
            zorder=2 + 0.1 * i,
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

    Up to 2^-25 a gradient is stored as zero (the tie goes to even); below 2^-14 it is subnormal and loses precision.

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
    shares = []
    for i, (label, counts) in enumerate(curves):
        array = np.array(counts, np.float64)
        shares.append(100 * array[1:-1] / max(array.sum(), 1))
        edges = lowest + np.arange(len(array) - 1)
        colour = COLOURS[1 + i]
        below = 100 * array[1 : 1 - 25 - lowest].sum() / max(array[1:-1].sum(), 1)
        zeros = 100 * array[0] / max(array.sum(), 1)
        note = f"{label}: {zeros:.0f} % exact zeros, {below:.0f} % of the others below $2^{{-25}}$"
        axes.stairs(shares[-1], edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(shares[-1], edges, color=colour, linewidth=1.6, label=note)
    height = 1.25 * max(float(share.max()) for share in shares) or 1.0
    _zones(axes, height)
    if scale is not None:
        start, level = lowest + int(shares[0].argmax()) + 0.5, 0.87 * height
        end = start + np.log2(scale)
        axes.annotate("", (end, level), (start, level), arrowprops={"arrowstyle": "-|>", "color": "#222222"})
        axes.text(start, level, f"× {scale:g}", ha="left", va="bottom", fontsize=9)
    axes.set_xlim(*_VIEW)
    axes.set_ylim(0, height)
    axes.set_xlabel("log$_2$ |gradient|, without loss scale")
    axes.set_ylabel("share of all elements, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return axes


def _zones(axes: Axes, height: float) -> None:
    """Shade what binary16 stores as zero, as a subnormal and as a normal number."""
    zones = (
        (_VIEW[0], -25, "#b2182b", "stored as zero"),
        (-25, -14, "#ef8a62", "subnormal"),
        (-14, _VIEW[1], "#f7f7f7", "normal"),
    )
    for edge in (-25, -14):
        axes.axvline(edge, color="#777777", linewidth=0.8, linestyle=":", zorder=1)
    for left, right, colour, name in zones:
        axes.axvspan(left, right, color=colour, alpha=0.16, linewidth=0, zorder=0)
        axes.text((left + right) / 2, 0.975 * height, name, ha="center", va="top", fontsize=9, color="#444444")
