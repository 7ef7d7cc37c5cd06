"""The machine a network runs on: how it multiplies matrices, rounds and stores results, and counts what that lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from halfsim.accumulators import FP32, Accumulator, Compensated, Pairwise, Sequential
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.kernels.swallowed import swallowed, swallowed32
from halfsim.linalg import matmul
from halfsim.policy import REDUCTIONS, Policy
from halfsim.rounding import Stochastic, as_rounding
from halfsim.tensorcores import AccumulatorLike, as_accumulator
from halfsim.training.arithmetic import Arithmetic, Array, arithmetic, product32
from halfsim.training.ledger import Ledger
from halfsim.training.words import Words

__all__ = ["WIDE", "Expression", "Machine"]

Expression = Callable[[Arithmetic], Array]
"""A result as a function of the arithmetic that computes it; operands of another format are converted in it."""

WIDE = replace(arithmetic(BINARY32))
"""Binary32 for the ledger, told apart from the binary32 of a policy."""
_NARROW = 8  # columns
_WATCHED = 16
"""Elements of a product whose partial sums are watched."""


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
    >>> machine = Machine(named("mixed"))
    >>> machine.forward(np.float16([[3.0]]), np.float16([[0.5]]), np.float16([1.0]))
    array([[2.5]], dtype=float16)
    """

    def __init__(self, policy: Policy, ledger: Ledger | None = None, seed: int = 0, stream: int = 0) -> None:
        self.policy = policy
        self._seed, self._stream, self._drawn = seed, stream, 0
        self.ledger = ledger or Ledger()
        self.layer = ""
        of = self._arithmetic
        self.weights, self.activations, self.gradients = (
            of(policy.weights),
            of(policy.activations),
            of(policy.gradients),
        )
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
        product = self._product(x, w, b, self.policy.forward)
        stored = _store(self.activations, product)
        self._book("activation", "forward", (x, w, b), product, stored)
        return stored

    def data_gradient(self, g: Array, w_transposed: Array) -> Array:
        """Return ``g @ w.T``, stored and counted.

        Parameters
        ----------
        g, w_transposed : array
            (M, N) and (N, K), or stacks of them; summed by the policy's ``data_gradient`` accumulator.
        """
        product = self._product(g, w_transposed, None, self.policy.data_gradient)
        stored = _store(self.gradients, product)
        self._book("activation gradient", "data_gradient", (g, w_transposed, None), product, stored)
        return stored

    def weight_gradient(self, x_transposed: Array, g: Array) -> Array:
        """Return ``x.T @ g``, stored and counted.

        Parameters
        ----------
        x_transposed, g : array
            (K, M) and (M, N), or stacks of them; summed by the policy's ``weight_gradient`` accumulator.
        """
        product = self._product(x_transposed, g, None, self.policy.weight_gradient)
        stored = _store(self.gradients, product)
        self._book("weight gradient", "weight_gradient", (x_transposed, g, None), product, stored)
        return stored

    def bias_gradient(self, g: Array) -> Array:
        """Return the sums of the columns of `g` in the arithmetic of the bias, stored and counted.

        Parameters
        ----------
        g : array
            (M, N); the sums have the shape (N,).
        """

        def sums(a: Arithmetic) -> Array:
            if g.dtype == np.float16 and a.total is WIDE.total:
                return np.asarray(matmul(np.ones((1, g.shape[0]), g.dtype), g, accumulator=FP32))
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
            # What binary16 arithmetic flushed, the same expression in binary32 shows.
            exact = computed if plain and a.dtype == np.float32 else np.asarray(expression(WIDE))
            self.ledger.count(self.layer, kind, exact, stored)
        self.ledger.watch(self.layer, kind, stored)
        return stored

    def _book(
        self, kind: str, name: str, operands: tuple[Array, Array, Array | None], product: Array, stored: Array
    ) -> None:
        """Count a product: what another accumulator flushed or swallowed, a binary32 sum of the same products shows."""
        self.ledger.watch(self.layer, kind, stored)
        if not self.ledger.sampling:
            return
        a, b, c = operands
        narrow = a.dtype == b.dtype == np.float16
        row = self._sums(getattr(self.policy, name))
        alone = not narrow or row == FP32 or (self.ledger.trusts_wide_sums and product.dtype == np.float32)
        due = self.ledger.watches(self.layer, name)
        if not (alone or due):
            return
        exact = product if alone else self._product(a, b, c, FP32)
        self.ledger.count(self.layer, kind, exact, stored)
        if kind == "weight gradient":
            self.ledger.compare(self.layer, exact, stored)
        if due and product.size and (product.ndim == 2 or self.ledger.watches_stacks):
            first = (0,) * (product.ndim - 2)
            self.ledger.swallow(self.layer, name, _watch(row if narrow else None, a[first], b[first], c))

    def _product(self, a: Array, b: Array, c: Array | None, accumulator: AccumulatorLike) -> Array:
        if a.dtype == np.float32 or b.dtype == np.float32:
            wide = a.astype(np.float32, copy=False), b.astype(np.float32, copy=False)
            if a.ndim == 2:
                return product32(*wide, c)
            products = [product32(*pair) for pair in zip(*wide, strict=True)]
            return np.stack(products) if products else np.zeros((0, a.shape[1], b.shape[2]), np.float32)
        row = self._sums(accumulator)
        if isinstance(row.rounding, Stochastic):
            fresh = replace(row, rounding=self._draw(row.rounding, a[..., 0].size * b.shape[-1]))
            return np.asarray(matmul(a, b, c, accumulator=fresh))
        if a.ndim > 2 or b.shape[1] >= a.shape[0] or (b.shape[1] >= _NARROW and not a.flags.f_contiguous):
            return np.asarray(matmul(a, b, c, accumulator=row))
        # The loops are fast along the columns, of which there should be many; a copy costs more than a few of them do.
        # The transposed product makes the same roundings, but for stochastic ones, which take their random words by the
        # position of the element.
        transposed = matmul(b.T, a.T, None if c is None else c[:, None], accumulator=row)
        return np.asarray(transposed).T

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


def _store(storage: Arithmetic, product: Array) -> Array:
    """Round a product to storage in the order of memory: one that was computed transposed stays so."""
    if product.ndim == 2 and product.flags.f_contiguous:
        return storage.convert(product.T).T
    return storage.convert(product)


def _watch(row: AccumulatorLike | None, a: Array, b: Array, c: Array | None) -> tuple[int, int]:
    """Return (additions that changed nothing, all) of a few elements of a product; without a row, of a binary32 one."""
    size = a.shape[0] * b.shape[1]
    elements = np.unique(np.arange(_WATCHED) * size // _WATCHED)
    start = np.zeros(b.shape[1], np.float32) if c is None else c
    if row is None:
        counts = np.zeros(2, np.int64)
        left, right = (np.ascontiguousarray(x, np.float32) for x in (a, b))
        swallowed32(left, right, start[elements % b.shape[1]].astype(np.float32), elements, counts)
        return int(counts[0]), int(counts[1])
    chosen = as_accumulator(row)
    output = getattr(chosen, "format", None) or getattr(chosen, "output", BINARY32)
    addend = start[elements % b.shape[1]].astype(np.float16 if output == BINARY16 else np.float32)
    patterns = addend.view(np.uint16 if output == BINARY16 else np.uint32).astype(np.int64)
    return swallowed(chosen, np.asarray(a).view(np.uint16), np.asarray(b).view(np.uint16), patterns, elements)
