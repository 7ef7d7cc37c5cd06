"""Statistics of a part: mean and deviation over seeds, and differences to the baseline seed by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

__all__ = ["CONFIDENCE", "estimate", "rows", "summarise"]

CONFIDENCE = 0.95
"""Of the two-sided intervals."""

Run: TypeAlias = Mapping[str, Any]
_LABELS = ("part", "variant", "seed", "final_scale", "weights_sha256", "run")


def rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return one flat row per run: what it is, its final measures, its books, and a digest of its weights.

    A number that is not finite is NaN; one that the run does not have, and another has, is None. ``training_loss``
    is that of the last batch, as the run reported it; ``not_finite`` counts the measures that are NaN.
    """
    names = list(dict.fromkeys(name for run in runs for name in run["measures"]))
    books = list(dict.fromkeys(name for run in runs for name in _books(run)))
    table = []
    for run in runs:
        final = {name: _number(values[-1]) for name, values in run["measures"].items() if values}
        kept = _books(run)
        table.append(
            {
                "part": run["part"],
                "variant": run["variant"],
                "seed": run["seed"],
                **{name: final.get(name) for name in names},
                **{name: kept.get(name) for name in books},
                "steps_skipped": len(run["skipped"]),
                "training_loss": _number(run["reported"][-1]) if run.get("reported") else None,
                "not_finite": sum(map(math.isnan, final.values())),
                "final_scale": run["scale"][-1][1] if run["scale"] else None,
                "seconds": run["seconds"],
                "weights_sha256": run["weights_sha256"],
                "run": run["id"],
            }
        )
    return table


def _books(run: Run) -> dict[str, float]:
    """Return the single numbers of the ledger."""
    return {name: _number(value) for name, value in run["ledger"].items() if _is_share(name, value)}


def _is_share(name: str, value: Any) -> bool:
    return name != "lowest_exponent" and (value is None or isinstance(value, int | float))


def _number(value: float | None) -> float:
    # JSON has no NaN and no infinity: both arrive as null.
    return math.nan if value is None or not math.isfinite(value) else float(value)


def summarise(runs: Sequence[Run], part: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is known of each measure of each row of a part, and of its difference to the first row.

    Parameters
    ----------
    runs : sequence of mapping
        Summaries of runs, with ``part`` and ``variant``.
    part : str
        Those of this part are taken.
    names : sequence of str
        Rows, the baseline first.

    Returns
    -------
    list of dict
        Per row ``{"variant", "seeds", "measures", "books"}``; the last two map a name to what `estimate` returns, with
        ``"difference"``, the estimate of value less the baseline's of the same seed (None for the baseline itself).
        A row without a single run has zero seeds and no measures.

    Examples
    --------
    >>> run = {"part": "a", "ledger": {}, "skipped": [], "scale": [], "seconds": 1, "weights_sha256": "", "id": ""}
    >>> runs = [
    ...     {**run, "variant": name, "seed": seed, "measures": {"loss": [loss]}}
    ...     for name, seed, loss in (("x", 0, 1.0), ("x", 1, 2.0), ("y", 0, 2.0), ("y", 1, 3.0))
    ... ]
    >>> summarise(runs, "a", ["x", "y"])[1]["measures"]["loss"]["difference"]["mean"]
    1.0
    """
    mine = [run for run in runs if run["part"] == part]
    table = rows(mine)
    outcomes = list(dict.fromkeys(name for run in mine for name in run["measures"]))
    books = [name for name in (table[0] if table else ()) if name not in (*_LABELS, *outcomes)]
    baseline = {row["seed"]: row for row in table if row["variant"] == names[0]}
    summary = []
    for name in names:
        found = [row for row in table if row["variant"] == name]
        against = None if name == names[0] else baseline
        summary.append(
            {
                "variant": name,
                "seeds": len(found),
                "measures": _estimates(found, outcomes, against),
                "books": _estimates(found, books, against),
            }
        )
    return summary


def _estimates(
    found: Sequence[Run], names: Sequence[str], baseline: Mapping[int, Run] | None
) -> dict[str, dict[str, Any]]:
    estimates = {}
    for name in names:
        values = [row[name] for row in found if row[name] is not None]
        if not values:
            continue
        difference = None
        if baseline is not None:
            pairs = [(row[name], baseline[row["seed"]][name]) for row in found if row["seed"] in baseline]
            difference = estimate([a - b for a, b in pairs if a is not None and b is not None])
        estimates[name] = {**estimate(values), "difference": difference}
    return estimates


def estimate(values: Sequence[float]) -> dict[str, Any]:
    """Return what a sample says of its mean.

    Parameters
    ----------
    values : sequence of float
        One per seed; NaN for a run that went wrong.

    Returns
    -------
    dict
        ``n`` values, of which ``nan`` are not numbers; ``mean``, None if there is one of those or no value at all: a
        failed run is counted and never averaged away; ``sd``, the sample standard deviation, and ``low`` and ``high``,
        the ends of Student's two-sided interval for the mean, None for fewer than two values.

    Examples
    --------
    >>> found = estimate([1.0, 2.0, 3.0])
    >>> found["mean"], found["sd"], round(found["low"], 3), round(found["high"], 3)
    (2.0, 1.0, -0.484, 4.484)
    >>> estimate([1.0, float("nan")])
    {'n': 2, 'nan': 1, 'mean': None, 'sd': None, 'low': None, 'high': None}
    """
    n, bad = len(values), sum(map(math.isnan, values))
    if bad or not n:
        return {"n": n, "nan": bad, "mean": None, "sd": None, "low": None, "high": None}
    mean = statistics.fmean(values)
    if n < 2:
        return {"n": n, "nan": 0, "mean": mean, "sd": None, "low": None, "high": None}
    sd = statistics.stdev(values)
    half = _student(n - 1) * sd / math.sqrt(n)
    return {"n": n, "nan": 0, "mean": mean, "sd": sd, "low": mean - half, "high": mean + half}


def _student(degrees: int) -> float:
    """Return the quantile of Student's distribution that leaves half of what `CONFIDENCE` leaves above it."""
    # What scipy.stats.t.ppf calls; that package takes a second or two to import.
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))
