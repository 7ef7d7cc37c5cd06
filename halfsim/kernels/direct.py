"""The loops of `halfsim.kernels.values` on processors that convert binary16: as fast as memory.

They take the four directions that processors know, without flushing, and must not run where `f16c.available` is False.
Round to nearest in binary32 and then in binary16 is one rounding of a sum, product, quotient or root, because
binary32 has two bits more than twice binary16's 11 [@figueroa1995]; the other directions twice are one anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy import float32, int32

from halfsim.core._jit import kernel, scalar
from halfsim.core.control import rounding_mode
from halfsim.core.fields import larger
from halfsim.kernels.f16c import (
    Largest,
    binary64_to_odd,
    converts_in,
    direction,
    exchange,
    in_parts,
    narrow,
    numbers_of,
    patterns_of,
    whole,
    widen,
)
from halfsim.kernels.simd import INFINITY, bits_of, float64_of, float_of, make_rule, sum_to_odd
from halfsim.kernels.vectorcode import INT, LONG, Lanes, Memory, each, pointers
from halfsim.rounding import Rounding

__all__ = [
    "add",
    "binary16_to_binary32",
    "binary32_to_binary16",
    "binary64_to_binary16",
    "divide",
    "fma",
    "make_loop",
    "multiply",
    "number_of",
    "round_to_integral",
    "sqrt",
    "subtract",
]


def number_of(patterns: Lanes) -> Lanes:
    """Numbers of binary64 patterns, int64, or binary32 numbers of binary32 or binary16 patterns."""
    element = patterns.value.type.element
    return patterns.number64() if element == LONG else patterns.number() if element == INT else numbers_of(patterns)


def make_loop(compute: Callable[..., Lanes]) -> Any:
    """Return a function for kernels that computes binary16 results: it returns whether there is a NaN.

    It takes a tuple of arrays, of binary16 or binary32 patterns, and one for results.
    """

    @intrinsic
    def run(typingctx, operands, z):
        def codegen(context, builder, signature, args):
            if not converts_in(context):
                return ir.Constant(ir.IntType(1), 0)
            sources = pointers(context, builder, operands, cgutils.unpack_tuple(builder, args[0]))
            (target,) = pointers(context, builder, [z], args[1:])
            largest = Largest(builder)

            def results(part: Memory, j: Any) -> tuple[Lanes]:
                return (patterns_of(compute(*[number_of(part.load(source, j)) for source in sources])),)

            def body(memory: Memory, j: Any) -> None:
                (patterns,) = in_parts(memory, j, results)
                memory.store(target, j, patterns)
                largest.take(memory, patterns)

            each(builder, context.make_array(z)(context, builder, args[1]).nitems, body)
            return largest.is_nan(builder)

        return types.boolean(operands, z), codegen

    return run


_sums = make_loop(lambda x, y: x + y)
_differences = make_loop(lambda x, y: x - y)
_products = make_loop(lambda x, y: x * y)
_quotients = make_loop(lambda x, y: x / y)
_roots = make_loop(Lanes.root)
_sums_of_products = make_loop(lambda x, y, z: x * y + z)
_whole = make_loop(whole)
_same = make_loop(lambda x: x)


@scalar
def _reach(largest, number):
    """Return the larger of a magnitude and that of a number, binary32 patterns; a NaN's is above all others."""
    # In full lanes; whether a number is one would be packed to bits first.
    return larger(largest, int32(bits_of(number) & 0x7FFFFFFF))


@kernel
def add(a, b, z, control):
    """Binary16 sum."""
    state = exchange(direction(control))
    nan = _sums((a, b), z)
    exchange(state)
    return nan


@kernel
def subtract(a, b, z, control):
    """Binary16 difference."""
    state = exchange(direction(control))
    nan = _differences((a, b), z)
    exchange(state)
    return nan


@kernel
def multiply(a, b, z, control):
    """Binary16 product."""
    state = exchange(direction(control))
    nan = _products((a, b), z)
    exchange(state)
    return nan


@kernel
def divide(a, b, z, control):
    """Binary16 quotient."""
    state = exchange(direction(control))
    nan = _quotients((a, b), z)
    exchange(state)
    return nan


@kernel
def sqrt(a, z, control):
    """Binary16 square root."""
    state = exchange(direction(control))
    nan = _roots((a,), z)
    exchange(state)
    return nan


@kernel
def fma(a, b, c, z, control):
    """Binary16 fused multiply-add; a plain binary32 sum would round twice, also to nearest."""
    state = exchange(direction(control))
    if rounding_mode(control) == Rounding.roundTiesToEven:
        rule, largest = make_rule(control), int32(0)
        for i in range(z.size):
            x = float_of(sum_to_odd(widen(a[i]) * widen(b[i]), widen(c[i]), rule))
            z[i] = narrow(x)
            largest = _reach(largest, x)
        nan = largest > INFINITY
    else:
        nan = _sums_of_products((a, b, c), z)
    exchange(state)
    return nan


@kernel
def round_to_integral(a, z, control):
    """Binary16 integral value."""
    state = exchange(direction(control))
    nan = _whole((a,), z)
    exchange(state)
    return nan


@kernel
def binary32_to_binary16(a, z, control):
    """Binary32 patterns, uint32, rounded to binary16."""
    state = exchange(direction(control))
    nan = _same((a,), z)
    exchange(state)
    return nan


@kernel
def binary64_to_binary16(a, z, control):
    """Binary64 patterns, int64, rounded to binary16."""
    largest = int32(0)
    state = exchange(direction(control))
    if rounding_mode(control) == Rounding.roundTiesToEven:
        for i in range(z.size):
            x = float_of(binary64_to_odd(float64_of(a[i])))
            z[i] = narrow(x)
            largest = _reach(largest, x)
    else:
        for i in range(z.size):
            x = float32(float64_of(a[i]))
            z[i] = narrow(x)
            largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def binary16_to_binary32(a, z, control):
    """Binary32 patterns, uint32, of binary16 numbers: exact."""
    largest = int32(0)
    for i in range(z.size):
        x = widen(a[i])
        z[i] = bits_of(x)
        largest = _reach(largest, x)
    return largest > INFINITY
