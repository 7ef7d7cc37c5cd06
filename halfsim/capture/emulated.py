"""Matrix instructions that a GPU does not have, and that its assembler makes of others: what the captures say of them.

Found on an H200 with driver 580.159 by comparing its results, and by the order of its machine code:

* FP8 ``mma.sync`` on Hopper unpacks its factors to binary16 and issues two binary16 instructions of half the length,
  the first on the k with k mod 4 in {0, 1}, the second on the others. The first starts from zero, not from C, which is
  added last by an addition of the CUDA cores, in binary32 or binary16.
* ``m8n8k4`` on Hopper is arithmetic of the CUDA cores in binary32, every operation rounded to nearest even. For a
  binary32 D, the products are summed by fused multiply-adds in ascending k, and C is added last. For a binary16 D, two
  sums of two products, of which the first is a multiplication, are added to C, the one of k = 0 and 1 first, and the
  result is rounded to binary16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from halfsim import conversion, linalg, operations, tensorcores
from halfsim.accumulators import Sequential
from halfsim.capture.matrix import FP8_PAIRS, MatrixInstruction
from halfsim.environment import CUDA
from halfsim.formats import BINARY16, BINARY32

__all__ = ["emulation"]

Arrays: TypeAlias = NDArray[Any]
Step: TypeAlias = Callable[[Arrays, Arrays, Arrays], Arrays]

_FUSED = Sequential(format=BINARY32, fused=True)


def _canonical(values: Arrays) -> Arrays:
    """NVIDIA's one NaN of binary32."""
    words = np.array(values, np.float32).view(np.uint32)
    words[np.isnan(values)] = 0x7FFFFFFF
    return words.view(np.float32)


def _sum(x: Arrays, y: Arrays) -> Arrays:
    """Add on the CUDA cores."""
    if x.dtype == np.float16:
        total: Arrays = operations.add(x, y, environment=CUDA)
        return total
    with np.errstate(invalid="ignore", over="ignore"):
        return _canonical(x + y)


def _products(A: Arrays, B: Arrays, first: float) -> Arrays:
    """Sum products in ascending k, from a zero of either sign: -0 leaves the first product as it is."""
    start = np.full((*A.shape[:-1], B.shape[-1]), first, np.float32)
    products: Arrays = linalg.matmul(A, B, start, accumulator=_FUSED)
    return products


def _widened(output: str, length: int) -> Step:
    """FP8 factors on binary16 instructions of half the length."""
    row = tensorcores.row("hopper", output, f"m16n8k{length // 2}", "f16")
    low = np.arange(length) % 4 < 2
    order = np.concatenate([np.flatnonzero(low), np.flatnonzero(~low)])

    def step(A: Arrays, B: Arrays, C: Arrays) -> Arrays:
        left, right = A[..., order].astype(np.float16), B[..., order, :].astype(np.float16)
        return _sum(linalg.matmul(left, right, np.zeros_like(C), accumulator=row), C)

    return step


def _in_order(A: Arrays, B: Arrays, C: Arrays) -> Arrays:
    return _sum(_products(A, B, 0.0), C.astype(np.float32))


def _in_pairs(A: Arrays, B: Arrays, C: Arrays) -> Arrays:
    first, second = (_products(A[..., k : k + 2], B[..., k : k + 2, :], -0.0) for k in (0, 2))
    total = _sum(_sum(C.astype(np.float32), first), second)
    rounded: Arrays = conversion.convert(total, BINARY16, environment=CUDA)
    return rounded


def emulation(instruction: MatrixInstruction, capability: tuple[int, int]) -> Step | None:
    """Return D of A, B and C of one instruction, or None where nothing was captured of its emulation.

    Parameters
    ----------
    instruction : MatrixInstruction
        The instruction; k of A and B is its own.
    capability : tuple of two int
        Compute capability of the GPU: only 9.0 is known.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.capture.emulated import emulation
    >>> from halfsim.capture.matrix import MATRIX_INSTRUCTIONS
    >>> step = emulation(MATRIX_INSTRUCTIONS["mma.m8n8k4.f32"], (9, 0))
    >>> A, B = np.float16([[1, 0, 0, 2.0**-20]]), np.float16([[1], [0], [0], [2.0**-4]])
    >>> float(step(A, B, np.float32([[-1]])).item()) == 0.0  # C comes after the sum that has lost 2**-24
    True
    """
    if capability != (9, 0) or instruction.family != "mma":
        return None
    if (instruction.m, instruction.n, instruction.k) == (8, 8, 4):
        return _in_order if instruction.output == "f32" else _in_pairs
    if instruction.inputs in FP8_PAIRS:
        return _widened(instruction.output, instruction.k)
    return None
