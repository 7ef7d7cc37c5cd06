"""How often the tensor cores of two GPUs give different bits for the same product."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import combinations
from typing import Any

import numpy as np

from halfsim.conversion import convert
from halfsim.formats import BINARY16
from halfsim.linalg import matmul
from halfsim.studies.cells import Cell, fresh
from halfsim.studies.tables.operands import Images, operands
from halfsim.tensorcores import as_accumulator
from halfsim.training.arithmetic import Array

__all__ = ["disagreement"]

_IMAGES = 1400
UNITS = ("v100:f32", "a100:f32", "h100:f32", "v100:f16", "a100:f16", "h100:f16")


def disagreement(
    units: Sequence[str] = UNITS,
    kind: str = "pixels × normal",
    dataset: str = "digits-or-fashion",
    length: int = 784,
    side: int = 64,
    *,
    cells: Cell = fresh,
) -> list[dict[str, Any]]:
    """Return, for every pair of accumulators, how many results differ once they are stored in binary16.

    Parameters
    ----------
    units : sequence of str
        Accumulators.
    kind, dataset : str
        What is multiplied; see `halfsim.studies.tables.operands`.
    length, side : int
        Terms of a dot product, and how many of these there are: side × side.
    cells : Cell
        Knows the rows that are computed already.

    Returns
    -------
    list of dict
        ``first``, ``second``; ``share``: of the results that differ in some bit; ``largest``: the greatest difference
        in ulps of the second's results in binary16.

    Raises
    ------
    TypeError
        If a unit is neither a row nor a name.
    ValueError
        If a unit, the kind or the dataset is unknown, or a product longer than the images.

    Examples
    --------
    >>> from halfsim.studies.tables.disagreement import disagreement
    >>> rows = disagreement(("v100:f16", "h100:f16"), dataset="digits", side=8)
    >>> rows[0]["share"] > 0.1
    True
    """
    for unit in units:
        as_accumulator(unit, "disagreement")
    a, b = operands(kind, Images(dataset, _IMAGES), side, length)

    @cache
    def result(unit: str) -> Array:
        return np.asarray(convert(matmul(a, b, accumulator=unit), BINARY16))

    def compared(first: str, second: str) -> dict[str, float]:
        x, y = result(first), result(second)
        distance = np.abs(x.astype(np.float64) - y.astype(np.float64)) / np.spacing(np.abs(y)).astype(np.float64)
        return {"share": float((x.view(np.uint16) != y.view(np.uint16)).mean()), "largest": float(distance.max())}

    return [
        {"first": first, "second": second, **cells(f"{first} {second}", partial(compared, first, second))}
        for first, second in combinations(units, 2)
    ]
