"""The ledger as a map: layers down, steps across."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from halfsim.plotting.style import BLANK, INK, tidy, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["SHARES", "ledger_map"]

SHARES = (1e-6, 1.0)
"""Ends of the logarithmic scale of colours; what is less looks like the least."""


def ledger_map(
    axes: Axes, steps: Sequence[int], layers: Sequence[str], shares: ArrayLike, *, title: str = "", names: bool = True
) -> Axes:
    """Draw the share of elements that something happened to, per layer and sampled step, on a logarithmic scale.

    Cells without a single such element are left blank, so that "never" and "hardly ever" differ.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    steps : sequence of int
        The sampled steps, ascending.
    layers : sequence of str
        Names of the rows, the first on top.
    shares : array_like of float, shape (layers, steps)
        From 0 to 1; NaN where nothing was counted.
    title : str
        What was counted.
    names : bool
        Whether to write the names of the layers.

    Returns
    -------
    Axes
        `axes`; the drawn image is ``axes.images[0]``, for a bar of colours.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axes = ledger_map(Figure().subplots(), [0, 10], ["conv1", "fc"], [[0, 0.5], [1e-4, 1]], title="flushed")
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['conv1', 'fc']
    """
    from matplotlib.colors import LogNorm

    array = np.asarray(shares, np.float64).reshape(len(layers), len(steps))
    shown = np.where(array > 0, np.clip(array, *SHARES), np.nan)
    # Samples are drawn side by side, each as wide as any other, from its step on: evenly spaced steps keep their place.
    width = (steps[-1] - steps[0]) / (len(steps) - 1) if len(steps) > 1 else 1.0
    extent = (steps[0], steps[-1] + width, len(layers) - 0.5, -0.5)
    axes.set_facecolor(BLANK)
    axes.imshow(shown, cmap="viridis_r", norm=LogNorm(*SHARES), aspect="auto", interpolation="nearest", extent=extent)
    axes.set_yticks(range(len(layers)), [written(layer) for layer in layers] if names else [])
    axes.set_xlabel("step")
    if title:
        axes.set_title(written(title), fontsize=10)
    tidy(axes, grid="none")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(True)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    for row in range(1, len(layers)):
        axes.axhline(row - 0.5, color=INK, linewidth=0.3)
    return axes
