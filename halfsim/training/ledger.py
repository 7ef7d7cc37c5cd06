"""The books of a run, per layer: what storing lost, which updates and partial sums vanished, where numbers lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from halfsim.kernels.census import BINS, COUNTS, LOWEST, census, special
from halfsim.training.arithmetic import Array, round16

__all__ = ["KINDS", "WATCHED", "Books", "Ledger", "is_special"]

KINDS = ("weight", "activation", "activation gradient", "weight gradient", "update")
WATCHED = 16
"""Elements of a product whose partial sums are watched."""
# (magnitude, smallest normal, infinity) of stored patterns.
_PATTERNS = {2: (0x7FFF, 0x0400, 0x7C00), 4: (0x7FFFFFFF, 0x00800000, 0x7F800000)}


def is_special(stored: Array) -> bool:
    """Whether a float16 or float32 array holds an infinity or a NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.training.ledger import is_special
    >>> is_special(np.float16([1.0, 65504.0])), is_special(np.float16([1.0, np.nan]))
    (False, True)
    """
    magnitude, _, infinity = _PATTERNS[stored.dtype.itemsize]
    # In the order of memory, which costs no copy.
    return bool(special(_patterns(stored.ravel("K")), magnitude, infinity))


def _patterns(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1).view(np.uint16 if x.dtype == np.float16 else np.uint32)


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
    """

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], Array] = defaultdict(lambda: np.zeros(len(COUNTS), np.int64))
        self.histograms: dict[tuple[str, str], Array] = defaultdict(lambda: np.zeros(BINS, np.int64))
        self.lost: dict[str, Array] = defaultdict(lambda: np.zeros(2, np.int64))
        self.swallowed: dict[tuple[str, str], Array] = defaultdict(lambda: np.zeros(2, np.int64))
        self.error: dict[str, Array] = defaultdict(lambda: np.zeros(2, np.float64))

    def add(self, other: Books) -> None:
        """Add the counts of other books."""
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
        """Take the counts of `state`."""
        self.__init__()  # type: ignore[misc]
        for path, value in state.items():
            name, *key = path.split("/")
            getattr(self, name)[key[0] if len(key) == 1 else tuple(key)] = np.array(value)


class Ledger:
    """What a run lost, cheap enough to stay on.

    Updates are counted at every step, all else at every `every`-th. A number is flushed when it is zero once stored and
    not zero when the same expression of the same stored operands is evaluated in binary32 (products and sums in
    ascending order, whatever accumulator or reductions the policy has). An update is lost when Δ is not zero and the
    weight is the same before and after (for a master copy, the master; for Kahan's rule, weight and compensation).
    Partial sums are watched in a few elements of every product, of a stack of them in a few of all together. The error
    of the weight gradients is the root of the summed squares of (stored - binary32 sum) over that of the sums
    themselves, where both are finite: what storing them and any other accumulator cost together. The first tensor of a
    step that holds an infinity or a NaN is noted at every step.

    Parameters
    ----------
    every : int
        Steps between two samples.

    Attributes
    ----------
    total : Books
        Of the whole run.
    first : dict or None
        {"layer", "tensor", "step"} of the first infinity or NaN of the run; `first_of_step` the same of this step.
    trusts_wide_sums : bool
        Whether a product whose accumulator delivers binary32 is counted against itself rather than against `FP32`,
        which would cost another product.
    """

    trusts_wide_sums = False

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.sampling = True
        self.total = Books()
        self.first: dict[str, Any] | None = None
        self.first_of_step: dict[str, Any] | None = None
        self._step = 0
        self._now = Books()

    def begin(self, step: int) -> None:
        """Start a step, and decide whether it is sampled."""
        self._step, self.first_of_step = step, None
        self.sampling = step % self.every == 0

    def count(self, layer: str, kind: str, exact: Array, stored: Array) -> None:
        """Count a tensor: `exact` as binary32 arithmetic has it, `stored` as the policy stored it."""
        if self.sampling:
            book = layer, kind
            before, after = _patterns(np.asarray(exact, np.float32)), _patterns(stored)
            masks = _PATTERNS[stored.dtype.itemsize]
            census(before, after, *masks, self._now.histograms[book], self._now.counts[book])

    def watch(self, layer: str, tensor: str, stored: Array) -> None:
        """Note the tensor if it is the first of the step that holds an infinity or a NaN."""
        if self.first_of_step is None and is_special(stored):
            self.first_of_step = {"layer": layer, "tensor": tensor, "step": self._step}
            self.first = self.first or self.first_of_step

    def compare(self, layer: str, exact: Array, stored: Array) -> None:
        """Count the distance of a stored weight gradient from its binary32 sum, where both are finite."""
        # An accumulate adds in index order; NumPy's own sums do not promise any.
        reference = exact.reshape(-1).astype(np.float64)
        distance = stored.reshape(-1).astype(np.float64) - reference
        finite = np.isfinite(distance)
        squares = [np.add.accumulate(x * x)[-1] if x.size else 0.0 for x in (distance[finite], reference[finite])]
        self._now.error[layer] += squares

    def watches(self, layer: str, product: str) -> tuple[bool, int, int]:
        """Return what is done about the product at work, everything here: (counted, elements watched, number).

        Whether it is counted although that takes another product, in how many of its elements additions are watched,
        and its number among those of the layer, from which the choice of these elements starts.
        """
        return True, WATCHED, 0

    def skip(self, layer: str, elements: int) -> None:
        """Note results of a product that is not counted: here all are."""

    def swallow(self, layer: str, product: str, pair: tuple[int, int]) -> None:
        """Count watched additions of a product: (those that changed nothing, all)."""
        if pair[1]:
            self._now.swallowed[layer, product] += pair

    def states(self, layers: Iterable[tuple[str, slice]], vectors: Mapping[str, Array]) -> None:
        """Note the vector of an optimizer's state that first holds an infinity or a NaN, where the state is binary16.

        An infinite denominator hides: the update it divides is zero.
        """
        for name, vector in vectors.items():
            if vector.dtype == np.float16 and is_special(vector):
                for layer, where in layers:
                    self.watch(layer, f"optimizer state {name}", vector[where])

    def update(
        self, layers: Iterable[tuple[str, slice]], delta: Array, unchanged: Array, full: Array, stored: Array
    ) -> None:
        """Count the updates of one step, and the weights after it.

        Parameters
        ----------
        layers : iterable of (str, slice)
            Names of layers, and where their parameters lie.
        delta : float32 array
            The updates Δ; flushed and subnormal ones are those that would be so in the format of the weights.
        unchanged : bool array
            Which weights did not move.
        full, stored : array
            The weights as precisely as they are kept, and as they are stored.
        """
        moves = delta != 0
        lost = moves & unchanged
        wrong = is_special(delta) or is_special(stored)
        for layer, where in layers:
            self._now.lost[layer] += (np.count_nonzero(lost[where]), np.count_nonzero(moves[where]))
            if self.sampling:
                narrow = round16(delta[where]) if stored.dtype == np.float16 else delta[where]
                self.count(layer, "update", delta[where], narrow)
                self.count(layer, "weight", full[where], stored[where])
            if wrong:
                self.watch(layer, "update", delta[where])
                self.watch(layer, "weight", stored[where])

    def end(self) -> dict[str, Any] | None:
        """End a step: return what was counted since the last sample if this one is sampled, else None."""
        if not self.sampling:
            return None
        sample, self._now = self._now, Books()
        self.total.add(sample)
        return sample.as_dict()

    def as_dict(self) -> dict[str, Any]:
        """Return shares, counts by layer, and histograms of all layers together from `LOWEST` up."""
        total = Books()
        total.add(self.total)
        total.add(self._now)
        histograms = {kind: np.zeros(BINS, np.int64) for kind in KINDS}
        for (_, kind), bins in total.histograms.items():
            histograms[kind] += bins
        plain = total.as_dict()
        return {
            **total.shares(),
            "layers": plain["ledger"],
            "swallowed_by_layer": plain["swallowed"],
            "error_by_layer": plain["error"],
            "histograms": {kind: bins.tolist() for kind, bins in histograms.items()},
            "lowest_exponent": LOWEST,
        }

    def state(self) -> dict[str, Any]:
        """Return everything that `restore` needs, by name: arrays, and the first infinity or NaN."""
        books = {"total": self.total, "now": self._now}
        arrays = {f"{name}/{key}": value for name, book in books.items() for key, value in book.state().items()}
        return {**arrays, "first": self.first}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the counts of `state`."""
        self.first = state["first"]
        for name, book in (("total", self.total), ("now", self._now)):
            prefix = f"{name}/"
            book.restore({key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)})
