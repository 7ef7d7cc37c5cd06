"""Which hypothesis is meant by which wrong rows: what explains many of them and contradicts few right ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.differences import Difference
from halfsim.testvectors.hypotheses import Hypothesis

__all__ = ["SHARE", "Evaluated", "assign"]

SHARE = 0.9
"""What differs little coincides with what many mistakes give: the one that is meant explains nearly all such rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Groups of wrong rows: how each differs, and which hypothesis gives which.

    Parameters
    ----------
    kinds : array of Difference
        How the rows of a group differ.
    apart : array of bool
        Whether their results are neighbours.
    weights : array of int64
        How many rows each group has.
    same, exact : array of bool, shape (hypotheses, groups)
        Which hypothesis gives the result, and which the result and the flags.
    against : array of int64, shape (2, hypotheses)
        Right rows that a hypothesis would make wrong: in their results, and in results or flags.
    """

    kinds: NDArray[np.object_]
    apart: NDArray[np.bool_]
    weights: NDArray[np.int64]
    same: NDArray[np.bool_]
    exact: NDArray[np.bool_]
    against: NDArray[np.int64]


def assign(tried: Sequence[Hypothesis], wrong: Evaluated) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which hypothesis gives each group exactly, and which but for the flags; -1 for none.

    Time and again it is the one that explains most of the rest. One that would make more right rows wrong than it
    explains is rejected.
    """
    own = np.array([[kind in item.explains for kind in wrong.kinds] for item in tried]).reshape(wrong.same.shape)
    _keep_whole(tried, wrong)
    # A right result is not explained by a mistake that happens to give it too, unless flags agree.
    loose = wrong.same & own & (wrong.kinds != Difference.flags) & np.array([[item.loose] for item in tried])
    of_values = np.array([[Difference.value in item.explains] for item in tried])
    near = _alike(wrong)
    meant = np.zeros(len(tried), np.bool_)
    left = wrong.kinds != Difference.mask
    chosen = []
    for hits, against in ((wrong.exact, wrong.against[1]), (loose, wrong.against[0])):
        found = np.full(len(left), -1, np.int64)
        while left.any():
            doubtful = _doubtful(wrong, near, left) & ~meant[:, None]
            claims = hits & own & left & ~doubtful
            # Once some rows show a mistake of values, it explains rows that differ in other ways, too.
            taken = np.where(of_values, hits & left & ~(doubtful & own), claims)
            counts, every = claims @ wrong.weights, taken @ wrong.weights
            counts[(against > every) & ~meant] = 0
            if not counts.any():
                break
            close = np.flatnonzero(counts >= max(SHARE * counts.max(), 1))
            best = int(min(close, key=lambda i: (against[i], -every[i], i)))
            found[taken[best]] = best
            left &= ~taken[best]
            meant[best] = True
        chosen.append(found)
    return chosen[0], chosen[1]


def _keep_whole(tried: Sequence[Hypothesis], wrong: Evaluated) -> None:
    """Strike out mistakes of a whole design that do not explain nearly all rows."""
    shares = (wrong.exact @ wrong.weights) / wrong.weights.sum()
    for i, item in enumerate(tried):
        if item.whole and shares[i] < SHARE:
            wrong.same[i], wrong.exact[i] = False, False


def _alike(wrong: Evaluated) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return groups that differ alike and little, and which hypothesis gives which of them."""
    found = [(wrong.apart & (wrong.kinds == Difference.value), wrong.same)]
    for kind in (Difference.nan, Difference.zero):
        found.append((wrong.kinds == kind, wrong.same))
    # A right result tells nothing: where only flags differ, the flags count.
    return [*found, (wrong.kinds == Difference.flags, wrong.exact)]


def _doubtful(
    wrong: Evaluated, near: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]], left: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return, per hypothesis and group, whether it may give it by chance: it gives too few of those alike."""
    doubtful = np.zeros_like(wrong.same)
    for rows, hits in near:
        alike = rows & left
        total = wrong.weights[alike].sum()
        doubtful |= alike & ((hits & alike) @ wrong.weights < SHARE * total)[:, None]
    return doubtful
