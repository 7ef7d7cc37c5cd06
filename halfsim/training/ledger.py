"""The books of a run: gradients flushed to zero, updates lost, and where on the binary16 scale gradients lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from halfsim.kernels.census import BINS, LOWEST, census
from halfsim.training.arithmetic import Array

__all__ = ["KINDS", "Ledger"]

KINDS = ("activation", "weight")


class Ledger:
    """Counts of one run, cheap enough to stay on.

    Updates are counted at every step, gradients at every `every`-th. A gradient is flushed when it is zero once stored
    and not zero when the same expression of the same stored operands is evaluated in binary32 (products and sums in
    ascending order, whatever accumulator or reductions the policy has). An update is lost when Δ is not zero and the
    weight is the same before and after (for a master copy, the master; for Kahan's rule, weight and compensation).
    The error of the weight gradients is the root of the summed squares of (stored - binary32 sum) over that of the
    sums themselves: what storing them and any other accumulator cost together.

    Parameters
    ----------
    every : int
        Steps between two samples of the gradients.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.sampling = True
        self._counts = {kind: np.zeros(3, np.int64) for kind in KINDS}
        self._histograms = {kind: np.zeros(BINS, np.int64) for kind in KINDS}
        self._moves = self._lost = 0
        self._error = self._size = 0.0

    def begin(self, step: int) -> None:
        """Start a step, and decide whether its gradients are counted."""
        self.sampling = step % self.every == 0

    def gradient(self, kind: str, exact: Array, stored: Array) -> None:
        """Count a gradient tensor: `exact` as binary32 arithmetic has it, `stored` as the policy stored it."""
        if not self.sampling:
            return
        patterns = np.ascontiguousarray(exact, np.float32).reshape(-1).view(np.uint32)
        narrow = stored.dtype == np.float16
        after = np.ascontiguousarray(stored).reshape(-1).view(np.uint16 if narrow else np.uint32)
        masks = (0x7FFF, 0x7C00) if narrow else (0x7FFFFFFF, 0x7F800000)
        census(patterns, after, *masks, self._histograms[kind], self._counts[kind])

    def compare(self, exact: Array, stored: Array) -> None:
        """Count the distance of a stored weight gradient from its binary32 sum, both (K, N) matrices."""
        # An accumulate adds in index order; NumPy's own sums do not promise any.
        reference = exact.reshape(-1).astype(np.float64)
        distance = stored.reshape(-1).astype(np.float64) - reference
        self._error += float(np.add.accumulate(distance * distance)[-1])
        self._size += float(np.add.accumulate(reference * reference)[-1])

    def update(self, delta: Array, unchanged: Array) -> None:
        """Count the updates of one step; `unchanged` says which weights did not move."""
        moves = delta != 0
        self._moves += int(np.count_nonzero(moves))
        self._lost += int(np.count_nonzero(moves & unchanged))

    def shares(self) -> dict[str, float]:
        """Return which shares of nonzero updates and gradients were lost, and the error of the weight gradients."""
        nonzero, flushed, overflowed = np.sum(list(self._counts.values()), axis=0).tolist()
        return {
            "updates_lost": self._lost / max(self._moves, 1),
            "gradients_flushed": flushed / max(nonzero, 1),
            "gradients_overflowed": overflowed / max(nonzero, 1),
            "gradient_error": float(np.sqrt(self._error / self._size)) if self._size else 0.0,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers: shares, raw counts, and histograms from `LOWEST` up."""
        return {
            **self.shares(),
            "updates": self._moves,
            "counts": {kind: [int(count) for count in counts] for kind, counts in self._counts.items()},
            "histograms": {kind: [int(count) for count in counts] for kind, counts in self._histograms.items()},
            "lowest_exponent": LOWEST,
        }
