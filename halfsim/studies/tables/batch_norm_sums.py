"""Mean and variance of a channel in batch norm, by accumulator: a table, a function of plain arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from halfsim.conversion import convert
from halfsim.formats import BINARY16
from halfsim.linalg import dot
from halfsim.linalg import sum as total
from halfsim.operations import divide
from halfsim.studies.cells import Cell, fresh
from halfsim.studies.tables.accumulation import ACCUMULATORS
from halfsim.studies.tables.operands import normal, rounded
from halfsim.tensorcores import AccumulatorLike
from halfsim.training.arithmetic import Array
from halfsim.training.words import Words

__all__ = ["batch_norm_sums"]

_PURPOSE = 14


def batch_norm_sums(
    count: int = 50176, scales: Sequence[float] = (1.0, 2.0), channels: int = 8, *, cells: Cell = fresh
) -> list[dict[str, Any]]:
    """Return mean and variance of positive activations, summed by every accumulator, beside the exact ones.

    The activations are magnitudes of normal numbers, in binary16; the default count is that of 64 maps of 28 × 28. The
    mean is their sum over the count; the variance is the sum of the squares of the deviations, stored in binary16, over
    the count; both divisions in the format of the sum.

    Parameters
    ----------
    count : int
        Activations of a channel, a number of binary16.
    scales : sequence of float
        Standard deviations of the normal numbers. Of 2, the sum of the default count exceeds 65504.
    channels : int
        Over how many channels the results are averaged.
    cells : Cell
        Knows the rows that are computed already.

    Returns
    -------
    list of dict
        ``accumulator``, ``scale``, ``mean``, ``exact_mean``, ``variance``, ``exact_variance``: averages over the
        channels whose result is finite, None when there is none; ``overflowed``: share of channels in which mean or
        variance is not finite.

    Examples
    --------
    >>> from halfsim.studies.tables.batch_norm_sums import batch_norm_sums
    >>> rows = batch_norm_sums(scales=(2.0,), channels=1)
    >>> wide, sequential, _, pairwise = rows[:4]
    >>> sequential["mean"] < wide["mean"] / 4  # stalls
    True
    >>> pairwise["mean"] is None, pairwise["overflowed"]
    (True, 1.0)
    """
    rows = []
    for scale in scales:
        x = rounded(np.abs(normal(Words(_PURPOSE, 0), channels * count)) * scale).reshape(channels, count)
        exact = np.array(cells(f"{scale} exact", partial(_of_channels, _exact, x.astype(np.float64))))
        for name, accumulator in ACCUMULATORS.items():
            statistics = partial(_statistics, accumulator=accumulator)
            found = np.array(cells(f"{scale} {name}", partial(_of_channels, statistics, x)))
            rows.append({"accumulator": name, "scale": float(scale), **_row(found, exact)})
    return rows


def _of_channels(statistics: Callable[[Array], tuple[float, float]], x: Array) -> list[tuple[float, float]]:
    return [statistics(channel) for channel in x]


def _exact(x: Array) -> tuple[float, float]:
    mean = math.fsum(x.tolist()) / len(x)
    return mean, math.fsum(((x - mean) ** 2).tolist()) / len(x)


def _statistics(x: Array, accumulator: AccumulatorLike) -> tuple[float, float]:
    """Return mean and variance of one channel; overflow and NaN are results here."""
    with np.errstate(all="ignore"):
        mean = _over(total(x, accumulator=accumulator), len(x))
        deviations = np.asarray(convert(x.astype(np.float64) - float(mean), BINARY16))
        return float(mean), float(_over(dot(deviations, deviations, accumulator=accumulator), len(x)))


def _over(sums: Any, count: int) -> Any:
    if sums.dtype == np.float16:
        return divide(sums, np.float16(count))
    return sums / np.float32(count)


def _row(found: Array, exact: Array) -> dict[str, float | None]:
    row: dict[str, float | None] = {}
    for column, name in enumerate(("mean", "variance")):
        row[name] = _average(found[:, column])
        row[f"exact_{name}"] = _average(exact[:, column])
    return {**row, "overflowed": 1.0 - float(np.isfinite(found).all(axis=1).mean())}


def _average(values: Array) -> float | None:
    finite = values[np.isfinite(values)]
    return math.fsum(finite.tolist()) / len(finite) if len(finite) else None
