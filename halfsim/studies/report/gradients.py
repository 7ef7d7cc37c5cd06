"""Where the gradients of a part lie on the scale of binary16: of a row without a loss scale, if there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

__all__ = ["constant_scale", "gradients_of", "loss_scale_kind", "shares"]

Run: TypeAlias = Mapping[str, Any]
_KINDS = ("activation gradient", "weight gradient")
_ZERO, _TINY, _NORMAL = -25, -24, -14


def gradients_of(names: Sequence[str], runs: Sequence[Run]) -> dict[str, Any] | None:
    """Return the histograms of one row of a part, its runs added up; None if no row has any.

    Parameters
    ----------
    names : sequence of str
        The rows of the part.
    runs : sequence of mapping
        Its runs.

    Returns
    -------
    dict
        ``row``: its name, that of the first one in binary32 without a loss scale, else the first without one, else the
        first; ``scaled``: whether it has a loss scale, which its gradients then hold; ``lowest``: the exponent of the
        first bin; ``counts``: bins by kind of gradient, as `halfsim.kernels.census` counts them.
    """
    rows = [(name, found) for name in names if (found := [run for run in runs if run["variant"] == name])]
    rows = [(name, found) for name, found in rows if _common(found)]
    if not rows:
        return None
    name, found = min(rows, key=lambda row: (not _is_plain(row[1]), not _is_wide(row[1])))
    counts = {
        kind: np.sum([run["ledger"]["histograms"][kind] for run in found], axis=0).tolist() for kind in _common(found)
    }
    lowest = found[0]["ledger"]["lowest_exponent"]
    return {"row": name, "scaled": not _is_plain(found), "lowest": lowest, "counts": counts}


def _common(found: Sequence[Run]) -> list[str]:
    """Return the kinds of gradient that all runs have counted."""
    return [kind for kind in _KINDS if all(kind in run["ledger"].get("histograms", {}) for run in found)]


def _is_plain(found: Sequence[Run]) -> bool:
    """Whether no run ever had a loss scale."""
    return all(loss_scale_kind(run) != "layer" and _scales(run) <= {1.0} for run in found)


def _scales(run: Run) -> set[float]:
    curves = [run, *(run.get("phases") or {}).values()]
    return {float(scale) for curve in curves for _, scale in curve["scale"]}


def _is_wide(found: Sequence[Run]) -> bool:
    return all(run["config"]["policy"].get("gradients") == "binary32" for run in found)


def loss_scale_kind(run: Run) -> str:
    """Return what loss scale the run's policy has: "none", "static", "dynamic" or "layer"."""
    return str(run["config"]["policy"].get("loss_scale", {}).get("kind", "none"))


def constant_scale(runs: Sequence[Run]) -> float | None:
    """Return the largest constant loss scale above 1 of the runs, None if there is none.

    A dynamic scale that never moved is none, and neither are scales per layer.
    """
    scales = [max(_scales(run), default=1.0) for run in runs if loss_scale_kind(run) == "static"]
    return max((scale for scale in scales if scale > 1), default=None)


def shares(counts: Sequence[int], lowest: int) -> dict[str, float]:
    """Return which share of gradients is what in binary16.

    Parameters
    ----------
    counts : sequence of int
        Exact zeros, unit bins of floor(log2|g|) from `lowest` up, and what is not finite.
    lowest : int
        Exponent of the first bin.

    Returns
    -------
    dict
        ``zero``: exact zeros, of all; of the other finite ones ``lost``: below 2^-25, which are stored as zero;
        ``below``: below 2^-24, the smallest number of binary16; ``subnormal``: from there to 2^-14.

    Examples
    --------
    >>> counts = [0] * 79
    >>> counts[0], counts[1 + 60 - 30], counts[1 + 60 - 20] = 50, 30, 20
    >>> shares(counts, -60)
    {'zero': 0.5, 'lost': 0.6, 'below': 0.6, 'subnormal': 0.4}
    """
    bins = np.array(counts[1:-1], np.float64)
    others = max(bins.sum(), 1.0)

    def between(low: int, high: int) -> float:
        return float(bins[low - lowest : high - lowest].sum() / others)

    return {
        "zero": counts[0] / max(sum(counts), 1),
        "lost": between(lowest, _ZERO),
        "below": between(lowest, _TINY),
        "subnormal": between(_TINY, _NORMAL),
    }
