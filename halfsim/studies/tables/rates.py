"""How many updates of binary16 weights are lost at a learning rate, and what that costs: a table that trains."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from halfsim.policy import named
from halfsim.studies.report.summary import estimate
from halfsim.studies.tables.trained import trained
from halfsim.training.experiment import Experiment, Settings
from halfsim.training.models import Perceptron
from halfsim.training.optim import SGD, Adam, Optimizer
from halfsim.training.tasks import Classification

__all__ = ["lost_updates"]

_SGD_FACTOR = 100.0
"""SGD's rate beside Adam's: its steps are the gradient's size, about a hundredth of Adam's here."""


def lost_updates(
    rates: Sequence[float],
    steps: int = 2_800,
    seeds: int = 3,
    sizes: Sequence[int] = (64, 32, 10),
    *,
    runs: Path | None = None,
) -> list[dict[str, Any]]:
    """Return, for every optimizer and learning rate, the share of lost updates and the gap in accuracy to binary32.

    A perceptron on digits, in batches of 8, with binary16 weights that are updated to nearest, beside the same network
    in binary32, seed by seed.

    Parameters
    ----------
    rates : sequence of float
        Learning rates of Adam; SGD's are a hundred times as large.
    steps, seeds : int
        Length of a run, and how many.
    sizes : sequence of int
        Widths of the perceptron.
    runs : Path, optional
        Folder of all runs, where those of the table are kept.

    Returns
    -------
    list of dict
        ``optimizer``, ``rate``; ``updates_lost``: share of the updates Δ ≠ 0 that left their weight as it was;
        ``binary32`` and ``binary16``: test accuracies, means over the seeds; ``accuracy_gap``: the second less the
        first; ``sd``, ``low`` and ``high``: its standard deviation over the seeds and the ends of Student's 95 %
        interval of its mean, None for one seed.

    Raises
    ------
    ValueError
        If a rate, a size or a number of steps is not positive.

    Examples
    --------
    >>> from halfsim.studies.tables.rates import lost_updates
    >>> row = lost_updates((1e-5,), steps=20, seeds=1)[0]
    >>> row["optimizer"], row["updates_lost"] > 0.5
    ('Adam', True)
    """
    rows = []
    for name, factor in (("Adam", 1.0), ("SGD", _SGD_FACTOR)):
        for rate in rates:
            optimizer: Optimizer = Adam(rate=rate) if name == "Adam" else SGD(rate=rate * factor)
            settings = Settings(
                model=Perceptron(sizes=tuple(sizes)), optimizer=optimizer, batch=8, steps=steps, evaluate_every=steps,
                sample_every=steps,
            )  # fmt: skip
            pairs = [tuple(_run(policy, settings, seed, runs) for policy in _POLICIES) for seed in range(seeds)]
            gap = estimate([narrow[0] - wide[0] for wide, narrow in pairs])
            rows.append(
                {
                    "optimizer": name,
                    "rate": rate * factor,
                    "updates_lost": statistics.fmean(narrow[1] for _, narrow in pairs),
                    "binary32": statistics.fmean(wide[0] for wide, _ in pairs),
                    "binary16": statistics.fmean(narrow[0] for _, narrow in pairs),
                    "accuracy_gap": gap["mean"],
                    **{key: gap[key] for key in ("sd", "low", "high")},
                }
            )
    return rows


_POLICIES = ("binary32", "binary16-weights")


def _run(policy: str, settings: Settings, seed: int, runs: Path | None) -> tuple[float, float]:
    task = Classification(dataset="digits")
    summary, _ = trained(Experiment(task=task, settings=settings, policy=named(policy), seed=seed), runs)
    return summary["measures"]["accuracy"][-1], summary["ledger"]["updates_lost"]
