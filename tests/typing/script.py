"""A user's script that calls every public name, with the types that a checker must find.

`make check` reads it with mypy in strict mode; a test runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.accumulators import Accumulator

one = np.float16(1)
x = np.array([1, -2, 0.5], np.float16)
y = hs.from_bits([0x3C01, 0x0001, 0x7BFF])
A = np.ones((2, 3), np.float16)
B = np.ones((3, 2), np.float16)
assert_type(hs.__version__, str)

# --- Bits, formats, roundings, environments ---------------------------------------------------------------------------

assert_type(y, NDArray[np.float16])
assert_type(hs.from_bits(0x3C01), np.float16)
assert_type(hs.to_bits(x), NDArray[np.uint16])
assert_type(hs.to_bits(one), np.uint16)

assert_type(
    [hs.BINARY16, hs.BINARY32, hs.BINARY64, hs.BFLOAT16, hs.TF32, hs.E5M2, hs.E4M3, hs.Format("own", 8, 4, -6, 7)],
    list[hs.Format],
)
assert_type(hs.BINARY16.largest, float)
assert_type(hs.E4M3.specials, hs.Specials)
assert_type([hs.IEEE, hs.RISCV, hs.ARM, hs.ARM_DEFAULT_NAN, hs.X86, hs.CUDA], list[hs.Environment])
assert_type(hs.RISCV.nan, hs.NaNRule)
rule = hs.NaNRule(default=hs.DefaultNaN.allOnes, operand=hs.NaNOperand.none)
machine = hs.Environment(nan=rule, tininess=hs.Tininess.beforeRounding, invalid_integer=hs.InvalidInteger.indefinite)
assert_type(replace(machine, flush_results=True), hs.Environment)
assert_type(hs.Class(int(hs.classify(one))), hs.Class)

# --- Operations -------------------------------------------------------------------------------------------------------

assert_type(hs.add(x, y), NDArray[np.float16])
assert_type(hs.divide(x, y), NDArray[np.float16])
assert_type(hs.fma(x, y, one), NDArray[np.float16])
assert_type(hs.logb(x), NDArray[np.float16])
assert_type(hs.max_num(x, y), NDArray[np.float16])
assert_type(hs.max_num_mag(x, y), NDArray[np.float16])
assert_type(hs.maximum(x, y), NDArray[np.float16])
assert_type(hs.maximum_magnitude(x, y), NDArray[np.float16])
assert_type(hs.maximum_magnitude_number(x, y), NDArray[np.float16])
assert_type(hs.maximum_number(x, y), NDArray[np.float16])
assert_type(hs.maxsh(x, y), NDArray[np.float16])
assert_type(hs.min_num(x, y), NDArray[np.float16])
assert_type(hs.min_num_mag(x, y), NDArray[np.float16])
assert_type(hs.minimum(x, y), NDArray[np.float16])
assert_type(hs.minimum_magnitude(x, y), NDArray[np.float16])
assert_type(hs.minimum_magnitude_number(x, y), NDArray[np.float16])
assert_type(hs.minimum_number(x, y), NDArray[np.float16])
assert_type(hs.minsh(x, y), NDArray[np.float16])
assert_type(hs.multiply(x, y), NDArray[np.float16])
assert_type(hs.nextdown(x), NDArray[np.float16])
assert_type(hs.nextup(x), NDArray[np.float16])
assert_type(hs.remainder(x, y), NDArray[np.float16])
assert_type(hs.round_to_integral(x), NDArray[np.float16])
assert_type(hs.scaleb(x, 3), NDArray[np.float16])
assert_type(hs.sqrt(x), NDArray[np.float16])
assert_type(hs.subtract(x, y), NDArray[np.float16])
assert_type(hs.absolute(x), NDArray[np.float16])
assert_type(hs.classify(x), NDArray[np.uint8])
assert_type(hs.copysign(x, y), NDArray[np.float16])
assert_type(hs.equal(x, y), NDArray[np.bool])
assert_type(hs.equal_signaling(x, y), NDArray[np.bool])
assert_type(hs.greater(x, y), NDArray[np.bool])
assert_type(hs.greater_equal(x, y), NDArray[np.bool])
assert_type(hs.greater_equal_quiet(x, y), NDArray[np.bool])
assert_type(hs.greater_quiet(x, y), NDArray[np.bool])
assert_type(hs.greater_unordered(x, y), NDArray[np.bool])
assert_type(hs.greater_unordered_quiet(x, y), NDArray[np.bool])
assert_type(hs.iscanonical(x), NDArray[np.bool])
assert_type(hs.isfinite(x), NDArray[np.bool])
assert_type(hs.isinf(x), NDArray[np.bool])
assert_type(hs.isnan(x), NDArray[np.bool])
assert_type(hs.isnormal(x), NDArray[np.bool])
assert_type(hs.issignaling(x), NDArray[np.bool])
assert_type(hs.issubnormal(x), NDArray[np.bool])
assert_type(hs.iszero(x), NDArray[np.bool])
assert_type(hs.less(x, y), NDArray[np.bool])
assert_type(hs.less_equal(x, y), NDArray[np.bool])
assert_type(hs.less_equal_quiet(x, y), NDArray[np.bool])
assert_type(hs.less_quiet(x, y), NDArray[np.bool])
assert_type(hs.less_unordered(x, y), NDArray[np.bool])
assert_type(hs.less_unordered_quiet(x, y), NDArray[np.bool])
assert_type(hs.negative(x), NDArray[np.float16])
assert_type(hs.not_equal(x, y), NDArray[np.bool])
assert_type(hs.not_equal_signaling(x, y), NDArray[np.bool])
assert_type(hs.not_greater(x, y), NDArray[np.bool])
assert_type(hs.not_greater_quiet(x, y), NDArray[np.bool])
assert_type(hs.not_less(x, y), NDArray[np.bool])
assert_type(hs.not_less_quiet(x, y), NDArray[np.bool])
assert_type(hs.ordered(x, y), NDArray[np.bool])
assert_type(hs.signbit(x), NDArray[np.bool])
assert_type(hs.total_order(x, y), NDArray[np.bool])
assert_type(hs.total_order_mag(x, y), NDArray[np.bool])
assert_type(hs.unordered(x, y), NDArray[np.bool])

assert_type(hs.add(one, one), np.float16)
assert_type(hs.divide(one, one), np.float16)
assert_type(hs.fma(one, one, one), np.float16)
assert_type(hs.logb(one), np.float16)
assert_type(hs.max_num(one, one), np.float16)
assert_type(hs.max_num_mag(one, one), np.float16)
assert_type(hs.maximum(one, one), np.float16)
assert_type(hs.maximum_magnitude(one, one), np.float16)
assert_type(hs.maximum_magnitude_number(one, one), np.float16)
assert_type(hs.maximum_number(one, one), np.float16)
assert_type(hs.maxsh(one, one), np.float16)
assert_type(hs.min_num(one, one), np.float16)
assert_type(hs.min_num_mag(one, one), np.float16)
assert_type(hs.minimum(one, one), np.float16)
assert_type(hs.minimum_magnitude(one, one), np.float16)
assert_type(hs.minimum_magnitude_number(one, one), np.float16)
assert_type(hs.minimum_number(one, one), np.float16)
assert_type(hs.minsh(one, one), np.float16)
assert_type(hs.multiply(one, one), np.float16)
assert_type(hs.nextdown(one), np.float16)
assert_type(hs.nextup(one), np.float16)
assert_type(hs.remainder(one, one), np.float16)
assert_type(hs.round_to_integral(one), np.float16)
assert_type(hs.scaleb(one, 3), np.float16)
assert_type(hs.sqrt(one), np.float16)
assert_type(hs.subtract(one, one), np.float16)
assert_type(hs.absolute(one), np.float16)
assert_type(hs.classify(one), np.uint8)
assert_type(hs.copysign(one, one), np.float16)
assert_type(hs.equal(one, one), np.bool)
assert_type(hs.equal_signaling(one, one), np.bool)
assert_type(hs.greater(one, one), np.bool)
assert_type(hs.greater_equal(one, one), np.bool)
assert_type(hs.greater_equal_quiet(one, one), np.bool)
assert_type(hs.greater_quiet(one, one), np.bool)
assert_type(hs.greater_unordered(one, one), np.bool)
assert_type(hs.greater_unordered_quiet(one, one), np.bool)
assert_type(hs.iscanonical(one), np.bool)
assert_type(hs.isfinite(one), np.bool)
assert_type(hs.isinf(one), np.bool)
assert_type(hs.isnan(one), np.bool)
assert_type(hs.isnormal(one), np.bool)
assert_type(hs.issignaling(one), np.bool)
assert_type(hs.issubnormal(one), np.bool)
assert_type(hs.iszero(one), np.bool)
assert_type(hs.less(one, one), np.bool)
assert_type(hs.less_equal(one, one), np.bool)
assert_type(hs.less_equal_quiet(one, one), np.bool)
assert_type(hs.less_quiet(one, one), np.bool)
assert_type(hs.less_unordered(one, one), np.bool)
assert_type(hs.less_unordered_quiet(one, one), np.bool)
assert_type(hs.negative(one), np.float16)
assert_type(hs.not_equal(one, one), np.bool)
assert_type(hs.not_equal_signaling(one, one), np.bool)
assert_type(hs.not_greater(one, one), np.bool)
assert_type(hs.not_greater_quiet(one, one), np.bool)
assert_type(hs.not_less(one, one), np.bool)
assert_type(hs.not_less_quiet(one, one), np.bool)
assert_type(hs.ordered(one, one), np.bool)
assert_type(hs.signbit(one), np.bool)
assert_type(hs.total_order(one, one), np.bool)
assert_type(hs.total_order_mag(one, one), np.bool)
assert_type(hs.unordered(one, one), np.bool)

# Keywords, options and flags are known, and so is a call that is none.
buffer = np.empty(3, np.float16)
assert_type(hs.add(x, y, rounding="rtz", environment=hs.RISCV, out=buffer, where=x > 0), NDArray[np.float16])
assert_type(hs.multiply(x, one, rounding=hs.Rounding.roundTowardZero), NDArray[np.float16])
assert_type(hs.divide(x, y, rounding=hs.Stochastic(bits=8, seed=1)), NDArray[np.float16])
assert_type(hs.round_to_integral(x, exact=True), NDArray[np.float16])
value, flags = hs.fma.flagged(x, y, one)
assert_type(value, NDArray[np.float16])
assert_type(flags, NDArray[np.uint8])
assert_type(hs.equal.flagged(one, one), hs.Flagged[np.bool, np.uint8])
assert_type(hs.scaleb.flagged(x, 3).value, NDArray[np.float16])


def rounded(a: np.float16) -> hs.Flagged:
    return hs.sqrt.flagged(a)


assert_type(hs.Flags(int(flags[0])), hs.Flags)
mistakes: list[Callable[[], object]] = [
    lambda: hs.add(x),  # type: ignore[call-overload]
    lambda: hs.sqrt(x, y),  # type: ignore[call-overload]
    lambda: hs.add(x, y, exact=True),  # type: ignore[call-overload]
    lambda: hs.scaleb.flagged(x),  # type: ignore[call-overload]
    lambda: hs.matmul(A),  # type: ignore[call-overload]
]
for wrong in mistakes:
    try:
        wrong()
    except TypeError:
        continue
    raise AssertionError("a call that no type checker takes was taken")
operation: hs.Operation = hs.sqrt
assert_type(operation.name, str)

# --- Conversions, products and sums: of some dtype, that of a row, which types do not tell -------------------------

assert_type(hs.convert(np.float32(0.1), hs.BINARY16), Any)
assert_type(hs.convert(0.1, np.int8), np.int8)
assert_type(hs.convert(x, np.dtype(np.int8)), NDArray[np.int8])
assert_type(hs.convert.flagged(0.1, hs.BINARY16), hs.Flagged)
signed = hs.convert.flagged(x, np.int8, rounding="rtz", exact=True, saturate=False)
assert_type(signed, hs.Flagged[NDArray[np.int8], NDArray[np.uint8]])
accumulators: list[Accumulator] = [
    hs.FP16,
    hs.FP32,
    hs.Sequential(format=hs.BINARY16, rounding="rtz", fused=False),
    hs.Pairwise(format=hs.BINARY16),
    hs.Compensated(format=hs.BINARY16),
    hs.Exact(rounding=hs.Rounding.roundTowardPositive),
    hs.tensorcores.row("h100", "f32"),
]
for accumulator in accumulators:
    assert_type(hs.matmul(A, B, accumulator=accumulator), NDArray[Any])
assert_type(hs.FP16, hs.Sequential)
assert_type(hs.convert(x, hs.E4M3), NDArray[Any])

# A scalar where a checker knows that vectors come, as of `numpy.ones`; of `numpy.array` it does not.
vector = np.ones(3, np.float16)
single: np.float32 = hs.dot(vector, vector, np.float32(1), accumulator="a100:f32")
assert_type(hs.matmul(vector, vector), np.floating[Any])
assert_type(hs.dot.flagged(vector, vector, accumulator=hs.FP16), hs.Flagged[np.floating[Any], np.uint8])
assert_type(hs.matmul(A, vector), NDArray[Any])
assert_type(hs.dot(vector, B.T), NDArray[Any])
assert_type(hs.dot(x, y, np.float32(1), accumulator="a100:f32"), Any)
assert_type(hs.matmul.flagged(A, B, accumulator=hs.FP16), hs.Flagged[NDArray[Any], NDArray[np.uint8]])
total: np.float32 = hs.sum(A, accumulator="a100:f32")
assert_type(hs.sum.flagged(x, accumulator=hs.FP16), hs.Flagged[np.floating[Any], np.uint8])
assert_type(hs.sum(A, axis=1, accumulator=hs.FP16), Any)
assert_type(hs.sum(A, axis=1, keepdims=True, accumulator=hs.FP16), NDArray[Any])
assert_type(hs.sum(A, axis=1, out=np.empty(2, np.float32)).shape, tuple[int])
scalars: list[Callable[[], object]] = [
    lambda: hs.dot(vector, vector)[0],  # type: ignore[index]
    lambda: hs.sum(x)[0],  # type: ignore[index]
    lambda: hs.convert(1.5, np.int8)[0],  # type: ignore[index]
    lambda: hs.add.flagged(one, one).value[0],  # type: ignore[index]
]
for scalar in scalars:
    try:
        scalar()
    except IndexError:
        continue
    raise AssertionError("a scalar that no type checker indexes was indexed")


def product(a: NDArray[np.float16]) -> NDArray[np.float32]:
    return hs.matmul(a, a, accumulator="h100:f32")


assert_type(hs.tensorcores.row("h100"), hs.FusedDotAdd)
assert_type(hs.tensorcores.row("ampere", "f16", instruction="m16n8k8").terms, int)
assert_type(hs.tensorcores.row("mi100"), hs.ExactDotAdd)
assert_type(hs.tensorcores.row("mi250x"), hs.PairwiseDotAdd)
assert_type(hs.tensorcores.row("cdna3", inputs="bf16"), hs.TwoStageDotAdd)
rows = [entry.accumulator for entry in hs.tensorcores.TABLE]
rows += [hs.tensorcores.row(name) for entry in hs.tensorcores.TABLE for name in entry.gpus]
assert_type(rows[0], hs.FusedDotAdd | hs.ExactDotAdd | hs.PairwiseDotAdd | hs.TwoStageDotAdd)

# --- Explanations and threads -----------------------------------------------------------------------------------------

assert_type(hs.explain(hs.fma, one, one, one, rounding="rup").to_json(), str)
assert_type(hs.explain_dot(x, x, accumulator="h100:f32").to_markdown(), str)
assert_type(hs.compare_dot(x, x, accumulators=["v100:f32", hs.FP32]).to_dict(), dict[str, Any])
hs.set_num_threads(1)
assert_type(hs.get_num_threads(), int)
