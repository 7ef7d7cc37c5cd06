"""The machine of bfloat16 tensors, which stores bfloat16 numbers where a policy says binary16.

Stored numbers are held in float32. Factors that come from bfloat16 tensors stay patterns, uint16, where a matrix unit
multiplies them, so that no number is converted and converted back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from halfsim.accumulators import FP32, Accumulator, MatrixUnit, Sequential
from halfsim.conversion import convert
from halfsim.formats import BFLOAT16, BINARY32
from halfsim.interop.torch.machine import TensorMachine
from halfsim.interop.torch.steady import Lost
from halfsim.interop.torch.tally import NEAREST, Tally
from halfsim.interop.torch.tensors import numbers_of
from halfsim.kernels.conversion import conversion_loops
from halfsim.kernels.host import compute
from halfsim.linalg import matmul
from halfsim.policy import Policy
from halfsim.rounding import Rounding
from halfsim.tensorcores import TABLE, AccumulatorLike, row
from halfsim.training.arithmetic import Arithmetic, Array, arithmetic
from halfsim.training.products import turned

__all__ = ["PLAIN32", "BFloat16Machine"]

PLAIN32 = arithmetic(BINARY32)
"""Binary32, for what takes operands that the policy's format does not hold."""
_F32, _U16 = np.dtype(np.float32), np.dtype(np.uint16)
_SUM32 = Sequential(format=BINARY32)


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
        self.alike, self.brain = len(set(formats)) == 1 or not wide, not wide
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

    def takes_words(self, kind: str) -> bool:
        """Whether bfloat16 factors of a forward product, a data or a weight gradient come as patterns, uint16."""
        return isinstance(self._accumulator(kind), MatrixUnit)

    def keep(self, x: Array, weight: Array, place: int, storage: Arithmetic) -> Array | None:
        """Return the second factor of a forward product as it is kept of earlier ones.

        Parameters
        ----------
        x : array, shape (M, K)
            The first factor, patterns or numbers.
        weight : array, shape (K, N)
            The second as it lies in memory: patterns, uint16; others are not kept.
        place, storage : int, Arithmetic
            As of every machine.
        """
        if weight.dtype != _U16 or turned(x, weight) or x.shape[1] != len(weight):
            return None
        chosen, rounded = self._accumulator("forward"), _same if x.dtype == _U16 else _widened
        found = self._kept = self._steady.find(chosen, place, len(x), weight, rounded)
        return None if found is None else found.columns

    def start(self, values: Array, place: int, storage: Arithmetic) -> Array | None:
        """Return a vector that sums start from as it is kept of earlier calls.

        Parameters
        ----------
        values : array, shape (N,)
            The vector as it lies in memory: patterns, uint16; others are not kept.
        place, storage : int, Arithmetic
            As of every machine.
        """
        found = self._steady.vector(place, values, _widened) if values.dtype == _U16 else None
        return None if found is None else found[0]

    def _accumulator(self, kind: str) -> Accumulator:
        if kind not in self._accumulators:
            # Of a product alone: copies to bfloat16, as Muon makes them, need no sums.
            wide = self._given.product_format(kind) == BINARY32
            self._accumulators[kind] = _SUM32 if wide else _twin(self._given, kind)
        return self._accumulators[kind]

    def _product(self, a: Array, b: Array, c: Array | None, accumulator: AccumulatorLike) -> Array:
        chosen = self._accumulator(self._kind)
        if isinstance(chosen, MatrixUnit) and a.dtype != _U16:
            return np.asarray(matmul(a, b, c, accumulator=chosen))
        return super()._product(a, b, c, chosen)


def _same(words: Array) -> tuple[Array, Lost | None]:
    """Return patterns as a matrix unit takes them."""
    return words, None


def _widened(words: Array) -> tuple[Array, Lost | None]:
    """Return patterns as sums in binary32 take them."""
    return numbers_of(words), None


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
    loops, last = conversion_loops(BINARY32, False, BFLOAT16, NEAREST, False, _F32)

    def rounded(x: Any) -> Array:
        x = np.asarray(x, _F32)
        if not x.flags.c_contiguous:
            return np.asarray(convert(x, BFLOAT16))
        # The front door's checks would take longer than the rounding of a small array.
        z = np.empty(x.shape, _F32)
        compute(loops, [x.reshape(-1).view(np.uint32)], z.reshape(-1).view(np.uint32), None, (NEAREST, 0, 0), last)
        return z

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
