"""The machines of a simulation: one for every policy, and one for its bfloat16 tensors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from halfsim.accumulators import FP32, Accumulator, MatrixUnit, Sequential
from halfsim.arrays import contiguous
from halfsim.conversion import convert
from halfsim.formats import BFLOAT16, BINARY16, BINARY32
from halfsim.interop.torch.report import Report
from halfsim.interop.torch.steady import Lost, Steady, Weight
from halfsim.interop.torch.tally import Tally
from halfsim.linalg import matmul
from halfsim.policy import Policy
from halfsim.rounding import Rounding, Stochastic, as_rounding
from halfsim.tensorcores import TABLE, AccumulatorLike, row
from halfsim.training.arithmetic import Arithmetic, Array, arithmetic
from halfsim.training.machine import Machine
from halfsim.training.products import Factors, multiply_decoded, output, turned

__all__ = ["KINDS", "PLAIN32", "BFloat16Machine", "Machines", "TensorMachine", "kind_of_wide"]

KINDS = {torch.float16: "binary16", torch.bfloat16: "bfloat16"}
"""Kinds of machines that round to what tensors of a narrow type hold."""

PLAIN32 = arithmetic(BINARY32)
"""Binary32, for what takes operands that the policy's format does not hold."""
_BRAINS = "bfloat16", "brain"
_F16 = np.dtype(np.float16)
_NO_WEIGHT: Weight | None = None
_SUM32 = Sequential(format=BINARY32)


def kind_of_wide(policy: Policy, brain: bool) -> str:
    """Return the kind of machine of float32 tensors, some of which hold bfloat16 numbers or none do."""
    return "brain" if brain and BINARY16 in (policy.weights, policy.activations, policy.gradients) else "plain"


class Machines:
    """Makes machines when they are first asked for, each with random words of its own.

    Parameters
    ----------
    report : Report
        Where they count.
    seed : int
        Of whatever rounds stochastically.
    """

    def __init__(self, report: Report, seed: int) -> None:
        self._report, self._seed = report, seed
        self._made: dict[tuple[int, str], tuple[Policy, TensorMachine]] = {}

    def of(self, policy: Policy, kind: str = "plain") -> TensorMachine:
        """Return the machine of a policy.

        Parameters
        ----------
        policy : Policy
            The policy.
        kind : str
            ``"plain"``; ``"bfloat16"`` for tensors of that type; ``"brain"`` for float32 tensors of such numbers;
            ``"master"`` for optimizers and master copies; ``"binary16"`` for what float16 tensors hold although the
            policy stores binary32.
        """
        if kind == "brain" and policy.weights == policy.activations == policy.gradients:
            # All is stored in bfloat16, as in tensors of the type.
            kind = "bfloat16"
        key = id(policy), kind
        if key not in self._made:
            self._made[key] = policy, self._make(policy, kind)
        return self._made[key][1]

    def _make(self, policy: Policy, kind: str) -> TensorMachine:
        stream = len(self._made)
        normal = float((BFLOAT16 if kind in _BRAINS else BINARY16).smallest_normal)
        tally = Tally(self._report, normal)
        if kind in _BRAINS:
            return BFloat16Machine(policy, tally, self._seed, stream, kind == "brain")
        if kind == "master" and policy.optimizer_state == BINARY32:
            policy = policy.stored(BINARY32, policy.name).reducing(BINARY32, policy.name)
        elif kind == "master" and policy.weights == BINARY32:
            policy = policy.stored(BINARY16, policy.name)
        elif kind == "binary16":
            policy = policy.stored(BINARY16, policy.name).accumulating(FP32, policy.name)
        return TensorMachine(policy, tally, self._seed, stream)


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
    """

    ledger: Tally

    def __init__(self, policy: Policy, ledger: Tally, seed: int, stream: int) -> None:
        super().__init__(policy, ledger, seed, stream)
        self.alike = policy.weights == policy.activations == policy.gradients
        self.keeps16 = self.alike and policy.weights == BINARY16 and not policy.flush_to_zero
        nearest = policy.rounding is Rounding.roundTiesToEven and not policy.flush_to_zero
        self.counts16 = nearest and ledger.sampling
        self._draws = isinstance(as_rounding(policy.rounding), Stochastic)
        self._steady, self._kept = Steady(), _NO_WEIGHT

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


class BFloat16Machine(TensorMachine):
    """What a policy says of binary16, said of bfloat16: weights, activations and gradients are stored in it.

    Products of bfloat16 are exact in binary32 and are summed in it, k ascending, or by the bfloat16 instruction of the
    same GPU. Elementwise operations are those of binary32, rounded to bfloat16 once, which is to nearest the correctly
    rounded result. Reductions are as the policy says.

    Parameters
    ----------
    policy, ledger, seed, stream : Policy, Tally, int, int
        As of every machine.
    wide : bool
        Whether the tensors are float32 ones, in which what the policy stores in binary32 stays as it is.
    """

    def __init__(self, policy: Policy, ledger: Tally, seed: int, stream: int, wide: bool = False) -> None:
        if policy.rounding is not Rounding.roundTiesToEven or policy.flush_to_zero:
            raise ValueError(
                f"simulate: policy {policy.name!r} rounds {policy.rounding!s} and flushes {policy.flush_to_zero}, but "
                "bfloat16 tensors are rounded to nearest, ties to even, and keep subnormals; pass float16 tensors"
            )
        super().__init__(policy.stored(BINARY32, policy.name), ledger, seed, stream)
        self._given = policy
        self._accumulators: dict[str, Accumulator] = {}
        stored = _bfloat16()
        formats = policy.weights, policy.activations, policy.gradients
        self.weights, self.activations, self.gradients = (
            PLAIN32 if wide and format == BINARY32 else stored for format in formats
        )
        self.alike = len(set(formats)) == 1 or not wide
        self.forward_pointwise = self.activations
        self.backward_pointwise = self.gradients if self.gradients is self.activations else PLAIN32
        self._kind = "forward"

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        """Return ``x @ w + b``."""
        self._kind = "forward"
        return super().forward(x, w, b)

    def data_gradient(self, g: Array, w_transposed: Array) -> Array:
        """Return ``g @ w.T``."""
        self._kind = "data_gradient"
        return super().data_gradient(g, w_transposed)

    def weight_gradient(self, x_transposed: Array, g: Array) -> Array:
        """Return ``x.T @ g``."""
        self._kind = "weight_gradient"
        return super().weight_gradient(x_transposed, g)

    def _product(self, a: Array, b: Array, c: Array | None, accumulator: AccumulatorLike) -> Array:
        kind, policy = self._kind, self._given
        if kind not in self._accumulators:
            # Of a product alone: copies to bfloat16, as Muon makes them, need no sums.
            self._accumulators[kind] = _SUM32 if policy.product_format(kind) == BINARY32 else _twin(policy, kind)
        chosen = self._accumulators[kind]
        if isinstance(chosen, MatrixUnit):
            return np.asarray(matmul(a, b, c, accumulator=chosen))
        return super()._product(a, b, c, accumulator)


def _twin(policy: Policy, name: str) -> Accumulator:
    """Return the accumulator of bfloat16 factors that stands beside one of binary16 factors."""
    chosen = policy.accumulator(name)
    if chosen in (FP32, _SUM32):
        return chosen
    for entry in TABLE if isinstance(chosen, MatrixUnit) else ():
        if entry.accumulator == chosen:
            try:
                return row(entry.generation, entry.output, inputs="bf16")
            except ValueError:
                continue
    raise ValueError(
        f"simulate: {name}={policy.as_table()[name]!r} has no twin with bfloat16 factors; pass FP32, or a GPU's 'f32' "
        "accumulator such as 'h100:f32', for bfloat16 tensors"
    )


def _bfloat16() -> Arithmetic:
    """Return the arithmetic of bfloat16 numbers held in float32."""

    def rounded(x: Any) -> Array:
        return np.asarray(convert(np.asarray(x, np.float32), BFLOAT16))

    def once(operation: Any) -> Any:
        return lambda *operands: rounded(operation(*operands))

    return replace(
        PLAIN32,
        wide=False,
        convert=rounded,
        add=once(np.add),
        subtract=once(np.subtract),
        multiply=once(np.multiply),
        divide=once(np.divide),
        sqrt=once(np.sqrt),
        total=once(PLAIN32.total),
    )
