"""The machine of a policy on tensors: it keeps weights, and compares a sample of what products lost."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from halfsim.accumulators import FP32, Accumulator, MatrixUnit
from halfsim.arrays import contiguous
from halfsim.formats import BINARY16
from halfsim.interop.torch.steady import Lost, Steady, Weight
from halfsim.interop.torch.tally import Tally
from halfsim.policy import Policy
from halfsim.rounding import Rounding, Stochastic, as_rounding
from halfsim.tensorcores import AccumulatorLike
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.machine import Machine
from halfsim.training.products import Factors, multiply_decoded, output, turned

__all__ = ["TensorMachine"]

_F16 = np.dtype(np.float16)
_NO_WEIGHT: Weight | None = None


class TensorMachine(Machine):
    """A machine that compares a sample of the sums of a product with binary32 ones, as its tally says.

    Attributes
    ----------
    alike : bool
        Whether weights, activations and gradients are stored in one format.
    keeps16 : bool
        Whether float16 numbers take part in products as they are.
    counts16 : bool
        Whether rounding to binary16 is to nearest and counted, which one pass does.
    brain : bool
        Whether all that is stored are bfloat16 numbers, which take part in products as they are.
    """

    ledger: Tally
    brain = False

    def __init__(self, policy: Policy, ledger: Tally, seed: int, stream: int) -> None:
        super().__init__(policy, ledger, seed, stream)
        self.alike = policy.weights == policy.activations == policy.gradients
        self.keeps16 = self.alike and policy.weights == BINARY16 and not policy.flush_to_zero
        nearest = policy.rounding is Rounding.roundTiesToEven and not policy.flush_to_zero
        self.counts16 = nearest and ledger.sampling
        self._draws = isinstance(as_rounding(policy.rounding), Stochastic)
        self._steady, self._kept = Steady(), _NO_WEIGHT

    def takes_words(self, kind: str) -> bool:
        """Whether bfloat16 factors of a forward product, a data or a weight gradient come as patterns, uint16."""
        return False

    def keep(self, x: Array, weight: Array, place: int, storage: Arithmetic) -> Array | None:
        """Return the second factor of a forward product as it is kept of earlier ones, and count what rounding it lost.

        Parameters
        ----------
        x : array, shape (M, K)
            The first factor, rounded.
        weight : float16 or float32 array, shape (K, N)
            The second as it lies in memory, not rounded.
        place : int
            Where it lies.
        storage : Arithmetic
            What rounds it.
        """
        row: Any = self.policy.forward
        if not x.dtype == storage.dtype == _F16 or turned(x, weight) or x.shape[1] != len(weight):
            # What does not fit is refused elsewhere.
            return None
        if not isinstance(row, MatrixUnit) if weight.dtype == _F16 else self._draws:
            # Nothing is decoded; or what rounds at random rounds to other numbers in every call.
            return None
        found = self._kept = self._steady.find(row, place, len(x), weight, partial(self._rounded, storage))
        if found is None:
            return None
        if found.lost is not None:
            self.ledger.rounded(self.layer, found.lost)
        return found.columns

    def start(self, values: Array, place: int, storage: Arithmetic) -> Array | None:
        """Return a vector that sums start from, rounded as it is kept of earlier calls, and count what that lost.

        Parameters
        ----------
        values : float32 array, shape (N,)
            The vector, not rounded.
        place, storage : int, Arithmetic
            As of `keep`.
        """
        if self._draws or storage.dtype != _F16:
            return None
        found = self._steady.vector(place, values, partial(self._rounded, storage))
        if found is None:
            return None
        if found[1] is not None:
            self.ledger.rounded(self.layer, found[1])
        return found[0]

    def _rounded(self, storage: Arithmetic, values: Array) -> tuple[Array, Lost | None]:
        stored = storage.convert(values)
        # Float16 numbers are other ones only where their subnormals are flushed.
        counts = self.ledger.sampling and stored is not values
        return stored, self.ledger.rounding(values, stored) if counts else None

    def _product(self, a: Array, b: Array, c: Array | None, accumulator: AccumulatorLike) -> Array:
        kept = self._kept
        if kept is None or b is not kept.columns or kept.decoded is None or not isinstance(accumulator, MatrixUnit):
            return super()._product(a, b, c, accumulator)
        return multiply_decoded(a, kept.decoded, c)

    def _compare(self, kind: str, row: Accumulator | None, factors: Factors, stored: Array, number: int) -> None:
        # What else than inexact a result may be is seen in its pattern for binary16 alone.
        # A format is asked what it is before it is compared field by field.
        narrow = row is not None and ((form := output(row)) is BINARY16 or form == BINARY16)
        sampled = self.ledger.sample(stored, number) if narrow else None
        if sampled is None:
            super()._compare(kind, row, factors, stored, number)
            return
        a, b, c = contiguous(factors[0]), contiguous(factors[1]), factors[2]
        rows = self.ledger.single(self.layer, (a, b, c), stored, sampled)
        if rows.size:
            self._counted(kind, self._product(a[rows], b, c, FP32), stored[rows])
