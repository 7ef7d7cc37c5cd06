"""What the order of the samples does to sums over them: a table, a function of plain arguments."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from halfsim.linalg import matmul
from halfsim.studies.cells import Cell, fresh
from halfsim.studies.tables.accumulation import ACCUMULATORS, relative_error
from halfsim.studies.tables.operands import Images, exact_product, rounded
from halfsim.tensorcores import AccumulatorLike
from halfsim.training.arithmetic import Array
from halfsim.training.words import Words

__all__ = ["KINDS", "sample_order"]

KINDS = ("pixels × pixels", "pixels × first gradient")
"""Kinds of sums over samples, both of them those of weight gradients."""

_SHUFFLE = 13


def sample_order(
    kind: str = KINDS[0],
    dataset: str = "digits-or-fashion",
    samples: int = 32768,
    side: int = 4,
    shuffles: int = 5,
    *,
    cells: Cell = fresh,
) -> list[dict[str, Any]]:
    """Return what the order of the samples does to sums over them, for every accumulator.

    Parameters
    ----------
    kind : str
        One of `KINDS`: products of pixels, all positive, or of pixels and the gradient of a softmax over ten equal
        logits, 1/10 less one at the label.
    dataset : str
        Whose images; see `halfsim.studies.tables.operands.Images`.
    samples : int
        Terms of a sum, at most; there are 1,400 digits.
    side : int
        There are side × side sums: the brightest pixels with pixels of every brightness, or with the first classes.
    shuffles : int
        Random orders.
    cells : Cell
        Knows the rows that are computed already.

    Returns
    -------
    list of dict
        ``accumulator``; ``K``: the samples; ``data``: whose images; relative errors ``shuffled`` (mean over the
        shuffles), ``by_class`` and ``by_magnitude`` (samples sorted by label, and by the sum of their pixels), None
        when nothing is finite; ``spread``: the largest less the smallest result over all orders, as a relative error.

    Raises
    ------
    ValueError
        If the kind or the dataset is unknown.

    Examples
    --------
    >>> from halfsim.studies.tables.sample_order import sample_order
    >>> rows = sample_order(dataset="digits", samples=1024, side=2, shuffles=2)
    >>> {row["accumulator"]: row["spread"] for row in rows}["binary16, exact"]
    0.0
    """
    if kind not in KINDS:
        raise ValueError(f"sample_order: kind={kind!r} is unknown; known are {', '.join(KINDS)}")
    images = Images(dataset, samples)
    bright = np.argsort(-images.pixels.astype(np.float64).sum(axis=0), kind="stable")
    a = np.ascontiguousarray(images.pixels[:, bright[:side]].T)
    if kind == KINDS[0]:
        b = images.pixels[:, bright[np.arange(1, side + 1) * (len(bright) // (side + 1))]]
    else:
        b = rounded(0.1 - (images.labels[:, None] == np.arange(side)))
    exact, orders = exact_product(a, b), _orders(images, shuffles)
    rows = []
    for name, accumulator in ACCUMULATORS.items():
        found = cells(name, partial(_effect_of_order, a, b, accumulator, orders, exact))
        rows.append({"accumulator": name, "K": len(images.labels), "data": images.name, **found})
    return rows


def _orders(images: Images, shuffles: int) -> list[Array]:
    """Return the random orders, then by class, then by magnitude."""
    count = len(images.labels)
    magnitude = images.pixels.astype(np.float64).sum(axis=1)
    shuffled = [Words(_SHUFFLE, i).permutation(count) for i in range(shuffles)]
    return [*shuffled, np.argsort(images.labels, kind="stable"), np.argsort(magnitude, kind="stable")]


def _effect_of_order(
    a: Array, b: Array, accumulator: AccumulatorLike, orders: list[Array], exact: Array
) -> dict[str, float | None]:
    results = [np.asarray(matmul(a[:, order], b[order], accumulator=accumulator), np.float64) for order in orders]
    errors = [relative_error(z, exact) for z in results]
    shuffled = [error for error in errors[:-2] if error is not None]
    width = np.max(results, axis=0) - np.min(results, axis=0)
    return {
        "shuffled": math.fsum(shuffled) / len(shuffled) if shuffled else None,
        "by_class": errors[-2],
        "by_magnitude": errors[-1],
        "spread": relative_error(exact + width, exact),
    }
