"""Layers of a network: the ledger as a map, layers down and steps across, and errors from layer to layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from halfsim.plotting.style import BLANK, FAINT, INK, Look, looks_of, tidy, written
from halfsim.plotting.tables import check_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["SHARES", "layer_errors", "ledger_map"]

SHARES = (1e-6, 1.0)
"""Ends of the logarithmic scale of colours; what is less looks like the least."""


def ledger_map(
    axes: Axes, steps: Sequence[int], layers: Sequence[str], shares: ArrayLike, *, title: str = "", names: bool = True
) -> Axes:
    """Draw the share of elements that something happened to, per layer and sampled step, on a logarithmic scale.

    Cells without a single such element are left blank, so that "never" and "hardly ever" differ; where nothing was
    counted they are grey.

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

    Raises
    ------
    ValueError
        If `shares` has not a value for every layer and step.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from halfsim.plotting import ledger_map
    >>> axes = ledger_map(Figure().subplots(), [0, 10], ["conv1", "fc"], [[0, 0.5], [1e-4, 1]], title="flushed")
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['conv1', 'fc']
    """
    from matplotlib.colors import ListedColormap, LogNorm

    array = np.asarray(shares, np.float64)
    if array.size != len(layers) * len(steps):
        raise ValueError(
            f"ledger_map: shares has the shape {array.shape}; pass ({len(layers)}, {len(steps)}), a share for every "
            "layer and step"
        )
    array = array.reshape(len(layers), len(steps))
    shown = np.where(array > 0, np.clip(array, *SHARES), np.nan)
    # Samples are drawn side by side, each as wide as any other, from its step on: evenly spaced steps keep their place.
    width = (steps[-1] - steps[0]) / (len(steps) - 1) if len(steps) > 1 else 1.0
    extent = (steps[0], steps[-1] + width, len(layers) - 0.5, -0.5)
    axes.set_facecolor(FAINT)
    cells: Any = {"aspect": "auto", "interpolation": "nearest", "extent": extent}
    axes.imshow(shown, cmap="viridis_r", norm=LogNorm(*SHARES), **cells)
    if (array == 0).any():
        axes.imshow(np.where(array == 0, 0.0, np.nan), cmap=ListedColormap([BLANK]), **cells)
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


def layer_errors(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    *,
    measure: str = "relative",
    title: str = "",
    palette: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw how far every layer is from a reference, one line for each policy, on a logarithmic scale.

    A layer that is not finite, or exact, has no point.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    rows : sequence of mapping
        Each with the policy, the layer and the measure, such as the layers of ``halfsim.torch.compare(...).as_dict()``.
    measure : str
        Which value is drawn: ``"relative"``, ``"max_ulp"`` or ``"rms_ulp"``.
    title : str
        Of the axes.
    palette : mapping of str to Look, optional
        Looks of the policies.

    Returns
    -------
    Axes
        `axes`.

    Raises
    ------
    ValueError
        If a row lacks the policy, the layer or the measure.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from halfsim.plotting import layer_errors
    >>> rows = [{"policy": "mixed", "layer": layer, "relative": 1e-4} for layer in ("fc", "out")]
    >>> axes = layer_errors(Figure().subplots(), rows)
    >>> [label.get_text() for label in axes.get_xticklabels()]
    ['fc', 'out']
    """
    check_columns("layer_errors", rows, policy="policy", layer="layer", measure=measure)
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    names = list(dict.fromkeys(row["policy"] for row in rows))
    looks = looks_of(names, palette)
    for name in names:
        found = {row["layer"]: float(row[measure]) for row in rows if row["policy"] == name}
        values = np.array([found.get(layer, np.nan) for layer in layers])
        shown = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        look = looks[name]
        axes.plot(
            range(len(layers)),
            shown,
            color=look.colour,
            linestyle=look.dash,
            marker=look.marker,
            markersize=3,
            label=name,
        )
    axes.set_yscale("log")
    axes.set_xticks(range(len(layers)), [written(layer) for layer in layers], rotation=90, fontsize=7)
    axes.set_ylabel(_MEASURES.get(measure, measure))
    if title:
        axes.set_title(written(title), fontsize=10)
    tidy(axes)
    axes.legend(fontsize=7, frameon=False)
    return axes


_MEASURES = {"relative": "relative distance", "max_ulp": "largest distance in ulp", "rms_ulp": "rms distance in ulp"}
