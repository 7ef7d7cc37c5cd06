"""Counts of what was lost, by layer: added up, taken out and put back, and turned into plain numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from halfsim.kernels.census import BINS, COUNTS
from halfsim.training.arithmetic import Array

__all__ = ["Books"]


class Books:
    """Counts by layer, of one step or of many.

    Attributes
    ----------
    counts, histograms : dict of (layer, kind)
        int64 arrays: `halfsim.kernels.census.COUNTS`, and `BINS` bins.
    lost : dict of layer
        (updates Δ ≠ 0 that left the weight as it was, updates Δ ≠ 0).
    swallowed : dict of (layer, product)
        (additions that left the partial sum as it was, additions of something that is not zero).
    error : dict of layer
        (sum of squared distances of stored weight gradients from binary32 sums, sum of squares of those).

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.training.ledger import Ledger
    >>> ledger = Ledger()
    >>> ledger.begin(step=0)
    >>> ledger.count("linear1", "weight gradient", np.float32([1, 2**-30]), stored=np.float16([1, 0]))
    >>> _ = ledger.end()
    >>> books = ledger.total
    >>> books.as_dict()["ledger"]["linear1"]["weight gradient"]["flushed"], books.shares()["gradients_flushed"]
    (1, 0.5)
    """

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], Array] = defaultdict(lambda: np.zeros(len(COUNTS), np.int64))
        self.histograms: dict[tuple[str, str], Array] = defaultdict(lambda: np.zeros(BINS, np.int64))
        self.lost: dict[str, Array] = defaultdict(lambda: np.zeros(2, np.int64))
        self.swallowed: dict[tuple[str, str], Array] = defaultdict(lambda: np.zeros(2, np.int64))
        self.error: dict[str, Array] = defaultdict(lambda: np.zeros(2, np.float64))

    def add(self, other: Books) -> None:
        """Add the counts of other books.

        Parameters
        ----------
        other : Books
            What is added, key by key; it stays as it is.
        """
        for name in self.__dict__:
            for key, value in getattr(other, name).items():
                getattr(self, name)[key] += value

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers: layer by layer, kind by kind; empty bins left out."""
        ledger: dict[str, dict[str, Any]] = {}
        histogram: dict[str, dict[str, Any]] = {}
        for (layer, kind), counts in self.counts.items():
            ledger.setdefault(layer, {})[kind] = dict(zip(COUNTS, counts.tolist(), strict=True))
            bins = self.histograms[layer, kind]
            histogram.setdefault(layer, {})[kind] = {str(i): int(bins[i]) for i in np.flatnonzero(bins)}
        for layer, (lost, moves) in self.lost.items():
            ledger.setdefault(layer, {}).setdefault("update", {}).update(lost=int(lost), moves=int(moves))
        swallowed: dict[str, dict[str, list[int]]] = {}
        for (layer, product), pair in self.swallowed.items():
            swallowed.setdefault(layer, {})[product] = pair.tolist()
        error = {
            layer: dict(zip(("distance", "size"), pair.tolist(), strict=True)) for layer, pair in self.error.items()
        }
        return {"ledger": ledger, "swallowed": swallowed, "error": error, "histogram": histogram}

    def shares(self) -> dict[str, float]:
        """Return which shares of nonzero updates, gradients and additions were lost, and the error of the gradients."""
        gradients = sum((c for (_, kind), c in self.counts.items() if kind.endswith("gradient")), np.zeros(6, np.int64))
        elements, zero, flushed, _, overflowed, _ = (int(count) for count in gradients)
        lost, moves = (int(n) for n in sum(self.lost.values(), np.zeros(2, np.int64)))
        swallowed, additions = (int(n) for n in sum(self.swallowed.values(), np.zeros(2, np.int64)))
        distance, size = (float(x) for x in sum(self.error.values(), np.zeros(2)))
        return {
            "updates_lost": lost / max(moves, 1),
            "gradients_flushed": flushed / max(elements - zero, 1),
            "gradients_overflowed": overflowed / max(elements - zero, 1),
            "gradient_error": float(np.sqrt(distance / size)) if size else 0.0,
            "swallowed": swallowed / max(additions, 1),
        }

    def state(self) -> dict[str, Array]:
        """Return arrays by name, from which `restore` makes the same books."""
        return {
            f"{name}/{'/'.join((key,) if isinstance(key, str) else key)}": value.copy()
            for name in self.__dict__
            for key, value in getattr(self, name).items()
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take the counts of `state`.

        Parameters
        ----------
        state : mapping of str to array
            What `state` returned. All counts of before are forgotten.
        """
        self.__init__()  # type: ignore[misc]
        for path, value in state.items():
            name, *key = path.split("/")
            getattr(self, name)[key[0] if len(key) == 1 else tuple(key)] = np.array(value)
