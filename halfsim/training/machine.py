"""The machine a network runs on: how it multiplies matrices, rounds and stores results, and counts what that lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from math import prod

import numpy as np

from halfsim.accumulators import FP32, Accumulator, Compensated, Pairwise, Sequential
from halfsim.arrays import contiguous
from halfsim.formats import BINARY16, BINARY32, BINARY64, Format
from halfsim.linalg import matmul
from halfsim.policy import REDUCTIONS, Policy
from halfsim.rounding import Stochastic, as_rounding
from halfsim.tensorcores import AccumulatorLike, as_accumulator
from halfsim.training.arithmetic import Arithmetic, Array, arithmetic
from halfsim.training.binary32 import product32, widen
from halfsim.training.ledger import Ledger
from halfsim.training.products import Factors, multiply, output, store, turned, watch
from halfsim.training.words import Words

__all__ = ["WIDE", "Expression", "Machine"]

Expression = Callable[[Arithmetic], Array]
"""A result as a function of the arithmetic that computes it; operands of another format are converted in it."""

WIDE = replace(arithmetic(BINARY32))
"""Binary32 for the ledger, told apart from the binary32 of a policy."""
_WIDE = BINARY32, BINARY64
_F16 = np.dtype(np.float16)
_STRIDE = 1_000_003  # elements from those watched in a product to those in the next


class Machine:
    """A policy at work.

    Whatever rounds stochastically draws new random words for every operation. Its seed is mixed with that of the run:
    the key is word `stream` of Philox under the key (seed of the rounding, seed of the run), and the offset counts the
    elements of all such operations before.

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
    weights, activations, gradients : Arithmetic
        Of what is stored.
    forward_pointwise, backward_pointwise : Arithmetic
        Of elementwise operations on activations, and on gradients with activations: the wider of their formats.
    batch_norm, softmax, bias, loss : Arithmetic
        Of the reductions.
    optimizer : Arithmetic
        Of the optimizer and its state.
    layer : str
        The layer at work, for the ledger.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training.machine import Machine
    >>> machine = Machine(named("mixed"))
    >>> machine.forward(np.float16([[3.0]]), np.float16([[0.5]]), np.float16([1.0]))
    array([[2.5]], dtype=float16)
    """

    def __init__(self, policy: Policy, ledger: Ledger | None = None, seed: int = 0, stream: int = 0) -> None:
        self.policy = policy
        self._seed, self._stream, self._drawn = seed, stream, 0
        self.ledger = ledger or Ledger()
        self.layer = ""
        self._fresh: Accumulator | None = None
        self._rows: dict[str, tuple[Accumulator | None, bool]] = {}  # with whether one is its own reference
        of = cache(self._arithmetic)
        self.weights, self.activations, self.gradients = map(of, (policy.weights, policy.activations, policy.gradients))
        both = BINARY16 if policy.activations == policy.gradients == BINARY16 else BINARY32
        self.forward_pointwise, self.backward_pointwise = self.activations, of(both)
        self.optimizer = of(policy.optimizer_state)
        self.batch_norm, self.softmax, self.bias, self.loss = (of(policy.reduction(name)) for name in REDUCTIONS)

    def _arithmetic(self, sums: Format | Sequential | Pairwise) -> Arithmetic:
        return arithmetic(sums, as_rounding(self.policy.rounding), self.policy.flush_to_zero, self._draw)

    def state(self) -> dict[str, int]:
        """Return how many random words were drawn."""
        return {"drawn": self._drawn}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on drawing where `state` was taken.

        Parameters
        ----------
        state : mapping of str to int
            What `state` returned.
        """
        self._drawn = int(state["drawn"])

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        """Return ``x @ w + b`` of matrices, or of stacks of them without b, stored and counted; sums start from b.

        Parameters
        ----------
        x, w, b : array
            (M, K), (K, N) and (N,), in the formats of the policy; or (S, M, K) and (S, K, N) without b.

        Returns
        -------
        array
            (M, N) or (S, M, N), summed by the policy's ``forward`` accumulator, in the format of activations.
        """
        return self._multiply("activation", "forward", self.activations, x, w, b)

    def data_gradient(self, g: Array, w_transposed: Array) -> Array:
        """Return ``g @ w.T``, stored and counted.

        Parameters
        ----------
        g, w_transposed : array
            (M, N) and (N, K), or stacks of them; summed by the policy's ``data_gradient`` accumulator.
        """
        return self._multiply("activation gradient", "data_gradient", self.gradients, g, w_transposed)

    def weight_gradient(self, x_transposed: Array, g: Array) -> Array:
        """Return ``x.T @ g``, stored and counted.

        Parameters
        ----------
        x_transposed, g : array
            (K, M) and (M, N), or stacks of them; summed by the policy's ``weight_gradient`` accumulator.
        """
        return self._multiply("weight gradient", "weight_gradient", self.gradients, x_transposed, g)

    def bias_gradient(self, g: Array) -> Array:
        """Return the sums of the columns of `g` in the arithmetic of the bias, stored and counted.

        Parameters
        ----------
        g : array
            (M, N); the sums have the shape (N,).
        """

        def sums(a: Arithmetic) -> Array:
            if g.dtype == np.float16 and a.total is WIDE.total:
                return multiply(FP32, np.ones((1, g.shape[0]), g.dtype), g, None)
            return a.sum(a.convert(g), 0)

        return np.asarray(self.gradient("weight gradient", self.bias, sums)[0])

    def value(self, a: Arithmetic, expression: Expression) -> Array:
        """Evaluate a value of the forward pass in an arithmetic, store it as an activation, and count the losses.

        Parameters
        ----------
        a : Arithmetic
            What computes, as `forward_pointwise`.
        expression : callable
            From an arithmetic to the value; called with `WIDE` as well where losses are counted.
        """
        return self._evaluate("activation", a, expression, self.activations)

    def gradient(self, kind: str, a: Arithmetic, expression: Expression, plain: bool = True) -> Array:
        """Evaluate a gradient in an arithmetic, store it, and count what that lost.

        Parameters
        ----------
        kind : str
            ``"activation gradient"`` or ``"weight gradient"``: the column of the ledger.
        a, expression : Arithmetic, callable
            As of `value`.
        plain : bool
            False for an expression that computes a part of itself in another arithmetic than the one it is given,
            but all of it in binary32 when given `WIDE`.
        """
        return self._evaluate(kind, a, expression, self.gradients, plain)

    def meet(self, kind: str, first: Array, second: Array) -> Array:
        """Return the sum of two gradients of one variable, stored and counted where both are not zero.

        A zero adds nothing: those that stand around the gradient of a slice are no gradients that were lost.

        Parameters
        ----------
        kind : str
            As of `gradient`.
        first, second : array
            Of one shape, in the format of gradients.
        """
        stored = np.asarray(self.gradients.add(first, second))
        if self.ledger.sampling:
            both = (first != 0) & (second != 0)
            exact = WIDE.add(WIDE.convert(first[both]), WIDE.convert(second[both]))
            self.ledger.count(self.layer, kind, exact, stored[both])
        self.ledger.watch(self.layer, kind, stored)
        return stored

    def selected(self, kind: str, values: Array) -> Array:
        """Count numbers that were selected among stored ones, which lost nothing; return them.

        Parameters
        ----------
        kind : str
            One of `halfsim.training.ledger.KINDS`.
        values : array
            Stored numbers of any shape.
        """
        self.ledger.count(self.layer, kind, values, values)
        return values

    def _evaluate(
        self, kind: str, a: Arithmetic, expression: Expression, storage: Arithmetic, plain: bool = True
    ) -> Array:
        computed = np.asarray(expression(a))
        stored = storage.convert(computed)
        if self.ledger.sampling:
            # What narrower arithmetic lost, the same expression in binary32 shows.
            exact = computed if plain and a.wide else np.asarray(expression(WIDE))
            self.ledger.count(self.layer, kind, exact, stored)
        self.ledger.watch(self.layer, kind, stored)
        return stored

    def _multiply(self, kind: str, name: str, storage: Arithmetic, a: Array, b: Array, c: Array | None = None) -> Array:
        """Return a product, stored and counted: what another accumulator lost, a binary32 sum of the same shows."""
        ledger, accumulator = self.ledger, getattr(self.policy, name)
        if not ledger.sampling:
            ledger.watch(self.layer, kind, stored := store(storage, self._product(a, b, c, accumulator)))
            return stored
        if name not in self._rows:
            own = self._sums(accumulator)
            self._rows[name] = own, output(own) in _WIDE and (ledger.trusts_wide_sums or own == FP32)
        row, alone = self._rows[name] if a.dtype == b.dtype == _F16 else (None, True)
        due, watched, number = ledger.watches(self.layer, name)
        if due and not alone and not turned(a, b):
            b = contiguous(b)  # both products would make the copy
        product = self._product(a, b, c, accumulator)
        stored = store(storage, product)
        if alone:
            self._counted(kind, product, stored)
        elif due:
            self._compare(kind, row, (a, b, c), stored, number)
        else:
            ledger.skip(self.layer, stored.size)
        ledger.watch(self.layer, kind, stored)
        if watched and product.size:
            # Others in every product, far from each other; of a stack of products those of all of them together.
            elements = (np.arange(watched) * product.size // watched + number * _STRIDE) % product.size
            if row is not None and isinstance(row.rounding, Stochastic):
                row = self._fresh
            ledger.swallow(self.layer, name, watch(row, a, b, c, np.unique(elements)))
        return stored

    def _compare(self, kind: str, row: Accumulator | None, factors: Factors, stored: Array, number: int) -> None:
        """Count what a product lost beside binary32 sums of the same factors; the number is the ledger's."""
        self._counted(kind, self._product(*factors, FP32), stored)

    def _counted(self, kind: str, exact: Array, stored: Array) -> None:
        self.ledger.count(self.layer, kind, exact, stored)
        if kind == "weight gradient":
            self.ledger.compare(self.layer, exact, stored)

    def _product(self, a: Array, b: Array, c: Array | None, accumulator: AccumulatorLike) -> Array:
        if a.dtype == np.float32 or b.dtype == np.float32:
            wide = widen(a), widen(b)
            if a.ndim == 2:
                return product32(*wide, c)
            products = [product32(*pair) for pair in zip(*wide, strict=True)]
            return np.stack(products) if products else np.zeros((0, a.shape[1], b.shape[2]), np.float32)
        row = self._sums(accumulator)
        if isinstance(row.rounding, Stochastic):
            self._fresh = replace(row, rounding=self._draw(row.rounding, prod(a.shape[:-1]) * b.shape[-1]))
            return np.asarray(matmul(a, b, c, accumulator=self._fresh))
        if not turned(a, b):
            return multiply(row, a, b, c)
        # The transposed product makes the same roundings, but for stochastic ones, which take their random words by the
        # position of the element.
        return multiply(row, b.T, a.T, None if c is None else c[:, None]).T

    def _sums(self, accumulator: AccumulatorLike) -> Accumulator:
        """Return an accumulator as the policy uses it: one in binary16 flushes where the policy does."""
        row = as_accumulator(accumulator)
        if not self.policy.flush_to_zero or not isinstance(row, Sequential | Pairwise | Compensated):
            return row
        return replace(row, flush_to_zero=True) if row.format == BINARY16 else row

    def _draw(self, rounding: Stochastic, elements: int) -> Stochastic:
        """Return the rounding of the next operation: no word is drawn twice in a run."""
        key = int(Words(rounding.seed, self._seed).raw(self._stream + 1)[-1])
        offset = rounding.offset + self._drawn
        self._drawn += elements
        return Stochastic(bits=rounding.bits, seed=key, offset=offset)
