"""What an accumulator costs: tables of the errors of sums, each a function of plain arguments.

A relative error is the root of the summed squares of (computed - exact) over that of the exact sums, over all dot
products whose result is finite; None when there is none. Exact sums are rounded to binary64, once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from halfsim.accumulators import FP16, FP32, Compensated, Exact, Pairwise
from halfsim.accumulators import Sequential as Chain
from halfsim.formats import BINARY16
from halfsim.linalg import matmul
from halfsim.rounding import Rounding, Stochastic
from halfsim.studies.cells import Cell, fresh
from halfsim.studies.tables.operands import OPERANDS, Images, exact_product, operands
from halfsim.tensorcores import AccumulatorLike
from halfsim.training.arithmetic import Array

__all__ = ["ACCUMULATORS", "LENGTHS", "ROUNDINGS", "error_against_k", "relative_error", "stochastic_bits"]

LENGTHS = (64, 256, 784, 2048, 8192, 16384, 32768)
"""The lengths k of the dot products that the table is about."""
_IMAGES = 1400  # as many as there are digits
_BITS, _SEED = 32, 2018

ACCUMULATORS: dict[str, AccumulatorLike] = {
    "binary32": FP32,
    "binary16": FP16,
    "binary16, unfused": Chain(format=BINARY16),
    "binary16, pairwise": Pairwise(format=BINARY16),
    "binary16, compensated": Compensated(format=BINARY16),
    "binary16, exact": Exact(format=BINARY16),
    **{f"{gpu} {output}": f"{gpu}:{output}" for gpu in ("v100", "a100", "h100") for output in ("f16", "f32")},
}
"""The families of accumulators; plain formats are sequential sums of fused products, rounded to nearest."""

ROUNDINGS: dict[str, AccumulatorLike] = {
    **{
        f"binary16, {rounding.name}": Chain(format=BINARY16, fused=True, rounding=rounding)
        for rounding in Rounding
        if rounding is not Rounding.roundTiesToEven
    },
    "binary16, stochastic": Chain(format=BINARY16, fused=True, rounding=Stochastic(_BITS, _SEED)),
}
"""The sequential sum of `FP16` under the other six roundings."""


def relative_error(computed: Array, exact: Array) -> float | None:
    """Return the relative error of the finite results, None when there is none.

    Parameters
    ----------
    computed : array
        Results of any format; those that are infinite or NaN are left out.
    exact : array of float64
        What they should be, of the same shape.

    Returns
    -------
    float or None
        Root of the summed squared distances over the summed squares of the exact results.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.studies.tables.accumulation import relative_error
    >>> relative_error(np.array([1.0, np.inf]), np.array([2.0, 2.0]))
    0.5
    """
    finite = np.isfinite(computed)
    if not finite.any():
        return None
    squares = [math.fsum((x[finite] ** 2).tolist()) for x in (computed.astype(np.float64) - exact, exact)]
    return math.sqrt(squares[0] / squares[1])


def error_against_k(
    kind: str = OPERANDS[0],
    dataset: str = "digits-or-fashion",
    lengths: Sequence[int] = LENGTHS,
    side: int = 8,
    *,
    cells: Cell = fresh,
) -> list[dict[str, Any]]:
    """Return the errors of dot products of growing length, for every accumulator and rounding.

    Parameters
    ----------
    kind : str
        What is multiplied, one of `halfsim.studies.tables.operands.OPERANDS`.
    dataset : str
        Whose pixels; see `halfsim.studies.tables.operands.Images`.
    lengths : sequence of int
        Terms of a dot product.
    side : int
        The dot products are side × side.
    cells : Cell
        Knows the rows that are computed already.

    Returns
    -------
    list of dict
        ``accumulator``; ``K``: the terms; ``data``: whose pixels; ``error``: the relative error; ``overflowed``: share
        of results that are not finite.

    Examples
    --------
    >>> from halfsim.studies.tables.accumulation import error_against_k
    >>> rows = error_against_k(dataset="digits", lengths=(4096,), side=2)
    >>> error = {row["accumulator"]: row["error"] for row in rows}
    >>> error["binary32"] < error["h100 f16"] < error["binary16"]
    True
    """
    images, rows = Images(dataset, _IMAGES), []
    for length in lengths:
        factors = _Factors(kind, images, side, length)
        for name, accumulator in (*ACCUMULATORS.items(), *ROUNDINGS.items()):
            found = cells(f"{length} {name}", partial(_error, accumulator, factors))
            rows.append({"accumulator": name, "K": length, "data": images.name, **found})
    return rows


class _Factors:
    """Operands of dot products and their exact results, once they are needed."""

    def __init__(self, *where: Any) -> None:
        self._where = where

    @cached_property
    def both(self) -> tuple[Array, Array]:
        return operands(*self._where)

    @cached_property
    def exact(self) -> Array:
        return exact_product(*self.both)


def _error(accumulator: AccumulatorLike, factors: _Factors) -> dict[str, Any]:
    z = np.asarray(matmul(*factors.both, accumulator=accumulator))
    return {"error": relative_error(z, factors.exact), "overflowed": 1.0 - float(np.isfinite(z).mean())}


def stochastic_bits(
    kind: str = OPERANDS[0],
    dataset: str = "digits-or-fashion",
    bits: Sequence[int] = tuple(range(1, 14)),
    length: int = 8192,
    side: int = 6,
    *,
    cells: Cell = fresh,
) -> list[dict[str, Any]]:
    """Return the errors of sequential binary16 sums that round stochastically with few random bits.

    Parameters
    ----------
    kind : str
        What is multiplied, one of `halfsim.studies.tables.operands.OPERANDS`.
    dataset : str
        Whose pixels; see `halfsim.studies.tables.operands.Images`.
    bits : sequence of int
        Random bits per rounding.
    length : int
        Terms of a dot product.
    side : int
        The dot products are side × side.
    cells : Cell
        Knows the rows that are computed already.

    Returns
    -------
    list of dict
        ``bits``; ``K``: the terms; ``data``: whose pixels; ``error``: the relative error; ``bias``: the sum of all
        (computed - exact) over the sum of the magnitudes of the exact results. A discarded fraction below 2**-bits is
        always dropped, which the bias shows.

    Examples
    --------
    >>> from halfsim.studies.tables.accumulation import stochastic_bits
    >>> few, many = stochastic_bits(dataset="digits", bits=(1, 10), length=4096, side=2)
    >>> few["bias"] < -0.05 < many["bias"] < 0.05
    True
    """
    images = Images(dataset, _IMAGES)
    factors = _Factors(kind, images, side, length)
    rows = []
    for count in bits:
        found = cells(str(count), partial(_bias, count, factors))
        rows.append({"bits": count, "K": length, "data": images.name, **found})
    return rows


def _bias(bits: int, factors: _Factors) -> dict[str, Any]:
    chain, exact = Chain(format=BINARY16, fused=True, rounding=Stochastic(bits, _SEED)), factors.exact
    z = np.asarray(matmul(*factors.both, accumulator=chain))
    size = math.fsum(np.abs(exact).reshape(-1).tolist())
    bias = math.fsum((z - exact).reshape(-1).tolist()) / size
    return {"error": relative_error(z, exact), "bias": bias}
