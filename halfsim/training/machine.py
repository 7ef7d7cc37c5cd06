"""The machine a network runs on: how it multiplies matrices, stores results and counts what storing lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from halfsim.accumulators import FP32
from halfsim.formats import BINARY32
from halfsim.linalg import matmul
from halfsim.policy import Policy
from halfsim.rounding import Stochastic
from halfsim.tensorcores import AccumulatorLike, as_accumulator
from halfsim.training.arithmetic import Arithmetic, Array, arithmetic, product32
from halfsim.training.ledger import Ledger
from halfsim.training.words import Words

__all__ = ["Machine"]


class Machine:
    """A policy at work.

    An accumulator that rounds stochastically draws new random words for every product. Its seed is mixed with that of
    the run: the key is word `stream` of Philox under the key (seed of the rounding, seed of the run), and the offset
    counts the elements of all such products before.

    Parameters
    ----------
    policy : Policy
        What to store and how to sum.
    ledger : Ledger, optional
        Where losses are counted.
    seed : int
        Seed of the run.
    stream : int
        Machines of one run that differ in it draw independent words.

    Attributes
    ----------
    storage : Arithmetic
        Elementwise arithmetic of the storage format: activations, their gradients, and sums of gradients.
    reductions : Arithmetic
        Arithmetic of softmax, sigmoid and loss.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> machine = Machine(named("mixed"))
    >>> machine.forward(np.float16([[3.0]]), np.float16([[0.5]]), np.float16([1.0]))
    array([[2.5]], dtype=float16)
    """

    def __init__(self, policy: Policy, ledger: Ledger | None = None, seed: int = 0, stream: int = 0) -> None:
        self.policy = policy
        self._seed, self._stream, self._drawn = seed, stream, 0
        self.ledger = ledger or Ledger()
        self.weights = arithmetic(policy.weights)
        self.storage = arithmetic(policy.activations)
        self.reductions = arithmetic(policy.reduction("softmax").format)

    def store(self, x: Array) -> Array:
        """Round to the storage format, to nearest, ties to even."""
        return self.storage.convert(x)

    def forward(self, x: Array, w: Array, b: Array) -> Array:
        """Return ``x @ w + b``, stored; the sums start from the bias."""
        return self.store(self._product(x, w, b, self.policy.forward))

    def data_gradient(self, g: Array, w_transposed: Array) -> Array:
        """Return ``g @ w.T``, stored and counted."""
        return self._gradient_product("activation", g, w_transposed, self.policy.data_gradient)

    def weight_gradient(self, x_transposed: Array, g: Array) -> Array:
        """Return ``x.T @ g``, stored and counted."""
        return self._gradient_product("weight", x_transposed, g, self.policy.weight_gradient)

    def bias_gradient(self, g: Array) -> Array:
        """Return the sums of the columns of `g` in the arithmetic of the reductions, stored and counted."""

        def sums(a: Arithmetic) -> Array:
            if g.dtype == np.float16 and a.dtype == np.float32:
                return np.asarray(matmul(np.ones((1, g.shape[0]), g.dtype), g, accumulator=FP32))
            return a.sum(a.convert(g), 0)

        return np.asarray(self.reduced_gradient("weight", sums)[0])

    def reduced_gradient(self, kind: str, expression: Callable[[Arithmetic], Array]) -> Array:
        """Evaluate a gradient in the arithmetic of the reductions, store it and count what that lost."""
        computed = expression(self.reductions)
        stored = self.store(computed)
        if self.ledger.sampling:
            # What binary16 reductions flushed, the same expression in binary32 shows.
            plain = self.reductions.dtype == np.float32
            self.ledger.gradient(kind, computed if plain else expression(arithmetic(BINARY32)), stored)
        return stored

    def _gradient_product(self, kind: str, a: Array, b: Array, accumulator: AccumulatorLike) -> Array:
        product = self._product(a, b, None, accumulator)
        stored = self.store(product)
        if self.ledger.sampling:
            # What another accumulator flushed or swallowed, a binary32 sum of the same products shows.
            plain = a.dtype == np.float32 or as_accumulator(accumulator) == FP32
            exact = product if plain else self._product(a, b, None, FP32)
            self.ledger.gradient(kind, exact, stored)
            if kind == "weight":
                self.ledger.compare(exact, stored)
        return stored

    def _product(self, a: Array, b: Array, c: Array | None, accumulator: AccumulatorLike) -> Array:
        if a.dtype == np.float32:
            return product32(a, b, c)
        row = as_accumulator(accumulator)
        if isinstance(row.rounding, Stochastic):
            fresh = replace(row, rounding=self._draw(row.rounding, a.shape[0] * b.shape[1]))
            return np.asarray(matmul(a, b, c, accumulator=fresh))
        if b.shape[1] >= a.shape[0]:
            return np.asarray(matmul(a, b, c, accumulator=accumulator))
        # The loops are fast along the columns. The transposed product makes the same roundings, but for stochastic
        # ones, which take their random words by the position of the element.
        transposed = matmul(b.T, a.T, None if c is None else c[:, None], accumulator=accumulator)
        return np.ascontiguousarray(transposed.T)

    def _draw(self, rounding: Stochastic, elements: int) -> Stochastic:
        """Return the rounding of the next product: no word is drawn twice in a run."""
        key = int(Words(rounding.seed, self._seed).raw(self._stream + 1)[-1])
        offset = rounding.offset + self._drawn
        self._drawn += elements
        return Stochastic(bits=rounding.bits, seed=key, offset=offset)
