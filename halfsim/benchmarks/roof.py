"""The limits of this machine, and where the rows lie under them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halfsim.benchmarks.measure import Result
from halfsim.benchmarks.timing import interleave, quartiles

__all__ = ["roofs", "series"]

_Points = list[tuple[str, list[tuple[float, float]]]]


def roofs(elements: int = 1_000_000, order: int = 512) -> tuple[float, float]:
    """Measure the bytes per second of a copy, and the multiply-adds per second of NumPy's binary32 product.

    Parameters
    ----------
    elements : int
        Numbers of binary32 that are copied.
    order : int
        M = N = K of the product.

    Returns
    -------
    tuple of float
        Both of processor time.
    """
    source = np.ones(elements, np.float32)
    target, square = np.empty_like(source), np.ones((order, order), np.float32)
    times = interleave({"copy": lambda: np.copyto(target, source), "product": lambda: square @ square})
    return 2 * source.nbytes / quartiles(times["copy"])[1], order**3 / quartiles(times["product"])[1]


def series(results: Sequence[Result]) -> tuple[_Points, int]:
    """Return the marks of a roofline: halfsim's by family, then the peers', and how many families there are.

    Parameters
    ----------
    results : sequence of Result
        Measured rows; calls of few elements say nothing of memory, and rows of two
        threads nothing of one: they are left out.

    Returns
    -------
    tuple of (list of (name, list of (units per byte, units per second)), int)
        Peers lie at the row's work per byte.
    """
    families: dict[str, list[tuple[float, float]]] = {}
    peers: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        if result.memory is None or any(against.peer == "one thread" for against in result.against):
            continue
        families.setdefault(result.family, []).append((result.intensity, result.rate))
        for against in result.against:
            peers.setdefault(against.peer, []).append((result.intensity, 1 / against.seconds))
    drawn = {name: points for name, points in peers.items() if name != "sgemm" and not name.startswith("np.copyto")}
    return [*families.items(), *drawn.items()], len(families)
