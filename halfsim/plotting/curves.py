"""Curves over the steps of training: measures, and the loss scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from halfsim.plotting.style import Look, below, looks_of, tidy, wrapped, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["learning_curves", "loss_scale"]


def learning_curves(
    axes: Axes,
    steps: Sequence[int],
    curves: Sequence[tuple[str, Sequence[Sequence[float]]]],
    *,
    ylabel: str,
    percent: bool = False,
    log: bool = False,
    skipped: Mapping[str, Sequence[int]] | None = None,
    looks: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw one line per policy, the mean over seeds, in a band of one standard deviation.

    Where a run is not finite the mean is not either: the line ends there in a cross.

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
    log : bool
        Whether the vertical axis is logarithmic.
    skipped : mapping of label to steps, optional
        Steps without an update, ticks at the foot, a row per policy.
    looks : mapping of label to Look, optional
        As `palette` returns; by default in the order of the curves.

    Returns
    -------
    Axes
        `axes`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from halfsim.plotting import learning_curves
    >>> axes = Figure().subplots()
    >>> curves = [("binary32", [[2.3, 0.5], [2.2, 0.4]]), ("mixed", [[2.3, 0.6], [2.2, 0.5]])]
    >>> learning_curves(axes, [0, 100], curves, ylabel="test loss, nats").get_ylabel()
    'test loss, nats'
    """
    looks = looks_of([name for name, _ in curves], looks)
    for i, (name, values) in enumerate(curves):
        array = np.array(values, np.float64) * (100 if percent else 1)
        _curve(axes, np.asarray(steps), array, name, looks[name], wide=i == 0, order=2 + 0.1 * i)
    if log:
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel(written(ylabel))
    if len(steps) > 1:
        axes.set_xlim(steps[0], steps[-1])
    _ticks(axes, skipped or {}, looks)
    below(tidy(axes))
    return axes


def _curve(
    axes: Axes, steps: NDArray[np.int64], array: NDArray[np.float64], name: str, look: Look, wide: bool, order: float
) -> None:
    with np.errstate(all="ignore"):
        mean, spread = array.mean(axis=0), array.std(axis=0, ddof=1 if len(array) > 1 else 0)
    finite = np.isfinite(mean)
    mean = np.where(finite, mean, np.nan)
    note = "" if finite.all() else " (not finite)" if not finite.any() else f" (not finite at {steps[~finite][0]})"
    axes.fill_between(steps, mean - spread, mean + spread, color=look.colour, alpha=0.12, linewidth=0)
    axes.plot(
        steps,
        mean,
        color=look.colour,
        linestyle=look.dash,
        label=wrapped(f"{name}{note}"),
        alpha=0.45 if wide else 1,
        linewidth=6 if wide else 1.8,
        zorder=order,
    )
    ends = np.flatnonzero(finite[:-1] & ~finite[1:])
    if len(ends):
        axes.plot(steps[ends], mean[ends], "x", color=look.colour, markersize=8, markeredgewidth=2, zorder=order)


def _ticks(axes: Axes, skipped: Mapping[str, Sequence[int]], looks: Mapping[str, Look]) -> None:
    rows = [(name, steps) for name, steps in skipped.items() if len(steps)]
    for i, (name, steps) in enumerate(rows):
        foot = 0.035 * i
        place = {"transform": axes.get_xaxis_transform(), "colors": looks[name].colour, "linewidth": 1.2, "zorder": 4}
        axes.vlines(list(steps), foot, foot + 0.03, **place)  # type: ignore[arg-type]
    if rows:
        axes.set_xlabel("step (ticks: steps skipped)")


def loss_scale(
    axes: Axes,
    curves: Sequence[tuple[str, Sequence[Sequence[tuple[int, float]]]]],
    *,
    last: int,
    skipped: Mapping[str, Sequence[int]] | None = None,
    looks: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw the loss scale S(t), a staircase per run, and ticks where a step was skipped.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    curves : sequence of (label, runs)
        A run is a sequence of (step, scale), one per change, the first at its first step.
    last : int
        Step at which the runs end.
    skipped : mapping of label to steps, optional
        Steps without an update.
    looks : mapping of label to Look, optional
        As `palette` returns.

    Returns
    -------
    Axes
        `axes`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from halfsim.plotting import loss_scale
    >>> axes = Figure().subplots()
    >>> loss_scale(axes, [("dynamic", [[(0, 65536.0), (3, 32768.0)]])], last=10, skipped={"dynamic": [2]}).get_yscale()
    'log'
    """
    looks = looks_of([name for name, _ in curves], looks)
    for name, runs in curves:
        for i, run in enumerate(runs):
            steps, scales = [step for step, _ in run], [scale for _, scale in run]
            label = wrapped(name) if i == 0 else f"_{name}"
            axes.step(
                [*steps, last],
                [*scales, scales[-1]],
                where="post",
                color=looks[name].colour,
                alpha=1 if i == 0 else 0.5,
                linewidth=2 if i == 0 else 1.2,
                label=label,
            )
    axes.set_yscale("log", base=2)
    axes.set_xlim(0, max(last, 1))
    low, high = axes.get_ylim()
    axes.set_ylim(low / 4, high * 2)
    axes.set_xlabel("step")
    axes.set_ylabel("loss scale S")
    _ticks(axes, skipped or {}, looks)
    below(tidy(axes))
    return axes
