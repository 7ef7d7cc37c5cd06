"""The books of a run, per layer: what storing lost, which updates and partial sums vanished, where numbers lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from halfsim._state import default_state
from halfsim.kernels.census import BINS, LOWEST, census, special
from halfsim.training.arithmetic import Array
from halfsim.training.binary32 import widen
from halfsim.training.books import Books as Books

__all__ = ["KINDS", "WATCHED", "Books", "Ledger", "is_special"]

KINDS = ("weight", "activation", "activation gradient", "weight gradient", "update")
"""The kinds of tensor that are counted apart, each with a histogram of its own."""
WATCHED = 16
"""Elements of a product whose partial sums are watched."""
_PATTERNS = {2: (0x7FFF, 0x0400, 0x7C00), 4: (0x7FFFFFFF, 0x00800000, 0x7F800000)}  # magnitude, least normal, infinity


def is_special(stored: Array) -> bool:
    """Whether a float16 or float32 array holds an infinity or a NaN.

    Parameters
    ----------
    stored : array
        float16 or float32, of any shape and order in memory; of an empty one it is false.

    Returns
    -------
    bool
        True for at least one infinity or NaN, which are found by their patterns.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.training.ledger import is_special
    >>> is_special(np.float16([1.0, 65504.0])), is_special(np.float16([1.0, np.nan]))
    (False, True)
    """
    magnitude, _, infinity = _PATTERNS[stored.dtype.itemsize]
    # In the order of memory, which costs no copy.
    return bool(special(_patterns(stored if stored.flags.c_contiguous else stored.ravel("K")), magnitude, infinity))


def _patterns(x: Array) -> Array:
    return x.reshape(-1).view(np.uint16 if x.dtype == np.float16 else np.uint32)


class Ledger:
    """What a run lost, cheap enough to stay on.

    Updates are counted at every step, all else at every `every`-th. A number is flushed when it is zero once stored and
    not zero when the same expression of the same stored operands is evaluated in binary32 (products and sums in
    ascending order, whatever accumulator or reductions the policy has). An update is flushed when Δ is zero in the
    weights' format, rounded as by their update, to nearest if that is stochastic, and not zero by a step in binary32.
    Gradients that meet, at a residual connection or at weights that are used more than once, count as they were
    computed and, where neither is zero, once more as their sum. An update is lost when Δ is not zero and the weight is
    the same before and after (of a master copy, the master; of Kahan's rule, weight and compensation). Partial sums are
    watched in a few elements of every product or stack of products, not in reductions. The error of the weight
    gradients is the root of the summed squares of (stored - binary32 sum) over that of the sums, where both are finite.

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
        Whether a product whose accumulator delivers binary32 is its own reference, which saves the product of `FP32`.

    Examples
    --------
    >>> from halfsim.training.ledger import Ledger
    >>> Ledger(every=4).total.shares()["updates_lost"]
    0.0
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
        self._totals: dict[str, Array] | None = None

    def begin(self, step: int) -> None:
        """Start a step, and decide whether it is sampled.

        Parameters
        ----------
        step : int
            Number of the step; it is sampled if `every` divides it.
        """
        self._step, self.first_of_step = step, None
        self.sampling = step % self.every == 0

    def count(self, layer: str, kind: str, exact: Array, stored: Array) -> None:
        """Count a tensor: `exact` as binary32 arithmetic has it, `stored` as the policy stored it.

        Parameters
        ----------
        layer, kind : str
            Where: the path of the layer, and one of `KINDS`.
        exact, stored : array
            Of one shape; `stored` float16 or float32. Outside of a sampled step nothing is counted.
        """
        if self.sampling:
            book = layer, kind
            if not stored.flags.c_contiguous and stored.flags.f_contiguous:
                # In the order of memory, which costs no copy: that of a product computed transposed.
                exact, stored = exact.T, stored.T
            before, after = _patterns(widen(exact)), _patterns(stored)
            masks = _PATTERNS[stored.dtype.itemsize]
            census(before, after, *masks, self._now.histograms[book], self._now.counts[book])

    def watch(self, layer: str, tensor: str, stored: Array) -> None:
        """Note the tensor if it is the first of the step that holds an infinity or a NaN.

        Parameters
        ----------
        layer, tensor : str
            Where: the path of the layer, and the name of the tensor in the note.
        stored : array
            float16 or float32, of any shape.
        """
        if self.first_of_step is None and is_special(stored):
            self.first_of_step = {"layer": layer, "tensor": tensor, "step": self._step}
            self.first = self.first or self.first_of_step

    def compare(self, layer: str, exact: Array, stored: Array) -> None:
        """Count the distance of a stored weight gradient from its binary32 sum, where both are finite.

        Parameters
        ----------
        layer : str
            Path of the layer.
        exact, stored : array
            Of one shape: the binary32 sum, and what the policy stored. Both are compared in binary64.
        """
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

        Parameters
        ----------
        layer, product : str
            Path of the layer; ``"forward"``, ``"data_gradient"`` or ``"weight_gradient"``.
        """
        return True, WATCHED, 0

    def skip(self, layer: str, elements: int) -> None:
        """Note results of a product that is not counted: here all are.

        Parameters
        ----------
        layer : str
            Path of the layer.
        elements : int
            How many results.
        """

    def swallow(self, layer: str, product: str, pair: tuple[int, int]) -> None:
        """Count watched additions of a product: (those that changed nothing, all).

        Parameters
        ----------
        layer, product : str
            As of `watches`.
        pair : (int, int)
            Additions of something that is not zero which left the partial sum as it was, and all such additions.
        """
        if pair[1]:
            self._now.swallowed[layer, product] += pair

    def states(self, layers: Iterable[tuple[str, slice]], vectors: Mapping[str, Array]) -> None:
        """Note the vector of an optimizer's state that first holds an infinity or a NaN.

        An infinite denominator hides: the update it divides is zero.

        Parameters
        ----------
        layers : iterable of (str, slice)
            Paths of the layers, and where their parameters lie in the vectors.
        vectors : mapping of str to array
            Vectors of the state by name, float16 or float32.
        """
        for name, vector in vectors.items():
            if is_special(vector):
                for layer, where in layers:
                    self.watch(layer, f"optimizer state {name}", vector[where])

    def update(
        self,
        layers: Iterable[tuple[str, slice]],
        delta: Array,
        unchanged: Array,
        exact: Array,
        narrow: Array,
        full: Array,
        stored: Array,
    ) -> None:
        """Count the updates of one step, and the weights after it.

        Parameters
        ----------
        layers : iterable of (str, slice)
            Names of layers, and where their parameters lie.
        delta : float32 array
            The updates Δ.
        unchanged : bool array
            Which weights did not move.
        exact, narrow : array
            Δ as binary32 arithmetic has it, and Δ in the format of the weights: flushed and subnormal updates are those
            that are so there. Outside of a sampled step both are ignored.
        full, stored : array
            The weights as precisely as they are kept, and as they are stored.
        """
        moves = delta != 0
        lost = moves & unchanged
        wrong = is_special(delta) or is_special(stored)
        for layer, where in layers:
            self._now.lost[layer] += (np.count_nonzero(lost[where]), np.count_nonzero(moves[where]))
            if self.sampling:
                self.count(layer, "update", exact[where], narrow[where])
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
        self._totals = None
        return sample.as_dict()

    @default_state()
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
        if self._totals is None:
            # They change with a sample, and the state is wanted after every step.
            self._totals = {f"total/{key}": value for key, value in self.total.state().items()}
        now = {f"now/{key}": value for key, value in self._now.state().items()}
        return {**{key: value.copy() for key, value in self._totals.items()}, **now, "first": self.first}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the counts of `state`.

        Parameters
        ----------
        state : mapping
            What `state` returned.
        """
        self.first, self._totals = state["first"], None
        for name, book in (("total", self.total), ("now", self._now)):
            prefix = f"{name}/"
            book.restore({key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)})
