"""The figures of a study, drawn from its records."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from halfsim.plotting import gradient_histogram, learning_curves
from halfsim.policy import StaticScale
from halfsim.studies.grid import Part

__all__ = ["draw"]

_LABELS = {
    "loss": "test loss, nats",
    "accuracy": "test accuracy, %",
    "false alarms": "false alarms per test canvas",
}


def draw(parts: Sequence[Part], runs: Sequence[dict[str, Any]], out: Path) -> list[Path]:
    """Write one PNG of learning curves and one of gradients per part; without matplotlib, say so and write none."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        print("figures need matplotlib: pip install 'halfsim[studies]'", file=sys.stderr)
        return []
    mpl.use("Agg")
    paths = []
    for part in parts:
        mine = [run for run in runs if run["part"] == part.name]
        for kind, figure in (("curves", _curves(part, mine)), ("gradients", _gradients(part, mine))):
            path = out / f"{part.name}-{kind}.png"
            figure.savefig(path, dpi=150)
            paths.append(path)
    return paths


def _curves(part: Part, runs: Sequence[dict[str, Any]]) -> Any:
    from matplotlib.figure import Figure

    records = {name: [run["record"] for run in runs if run["policy"] == name] for name in part.shown}
    steps, measures = runs[0]["record"]["steps"], list(runs[0]["record"]["measures"])
    figure = Figure(figsize=(4.75 * len(measures), 4.6), layout="constrained")
    panels = figure.subplots(1, len(measures), gridspec_kw={"wspace": 0.08})
    for axes, name in zip(panels, measures, strict=True):
        curves = [(policy, [_numbers(record["measures"][name]) for record in records[policy]]) for policy in part.shown]
        learning_curves(axes, steps, curves, ylabel=_LABELS.get(name, name), percent=name == "accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(part.title)
    return figure


def _gradients(part: Part, runs: Sequence[dict[str, Any]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    baseline = part.policies[0].name
    ledgers = [run["record"]["ledger"] for run in runs if run["policy"] == baseline]
    curves = [
        (f"{kind}s", np.sum([ledger["histograms"][kind] for ledger in ledgers], axis=0).tolist())
        for kind in ("activation gradient", "weight gradient")
    ]
    scales = [policy.loss_scale.scale for policy in part.policies if isinstance(policy.loss_scale, StaticScale)]
    gradient_histogram(figure.subplots(), curves, lowest=ledgers[0]["lowest_exponent"], scale=max(scales, default=None))
    figure.suptitle(f"{part.title}\ngradients of the binary32 run, all layers and seeds", fontsize=11)
    return figure


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in values]
