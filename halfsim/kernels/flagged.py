"""Binary16 results with their flags in vectors, on processors that convert binary16 and for control words unflushed.

They are the loops of `halfsim.kernels.fast`, with the same arguments, and must not run where `f16c.available` is False.
Results wait in binary32 to be rounded (`halfsim.kernels.rounder`). `flags` may be 0: nobody asks for them then.
"""

from __future__ import annotations

from math import ldexp

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from halfsim.core._jit import kernel
from halfsim.core.control import Bit, has
from halfsim.kernels.direct import make_loop
from halfsim.kernels.f16c import (
    NEAREST,
    differing,
    direction,
    exchange,
    whole,
)
from halfsim.kernels.rounder import make_limits, round_words, waiting_loop
from halfsim.kernels.simd import INFINITY
from halfsim.kernels.vectorcode import INT, Lanes

__all__ = [
    "add",
    "binary32_to_binary16",
    "binary64_to_binary16",
    "divide",
    "fma",
    "multiply",
    "remainder",
    "round_to_integral",
    "scaleb",
    "sqrt",
    "subtract",
]

_MAGNITUDE = 0x7FFFFFFF
_SIGN = -0x80000000
_QUIET = 0x7FC00000
_ROUNDER = ldexp(1.5, 52)  # added and subtracted, it rounds to an integer


def _odd_sum(x: Lanes, y: Lanes, zero: Lanes) -> Lanes:
    """Return the binary32 patterns of sums rounded to odd, on a processor that rounds toward zero.

    The difference of a cut sum and its larger term is exact, for it has 24 bits, and then not the smaller term; of an
    exact sum both differences are. A sum that is cut is odd already or becomes it. Those of an infinite sum are its
    terms, or NaNs, which compare as equal.
    """
    total = x + y
    bits = total.bits() | ((differing(total - x, y) | differing(total - y, x)) & 1)
    # An exactly zero sum of unlike signs is negative only when rounding down (IEEE 754-2019 §6.3).
    return total.unlike(0.0).choose(bits, bits | ((x.bits() | y.bits()) & zero))


def _odd_single(number: Lanes, _: Lanes) -> Lanes:
    """Return the binary32 patterns of binary64 numbers rounded to odd, on a processor that rounds toward zero."""
    near = number.to_single()
    return number.unlike(near.to_double()).choose(near.bits() | 1, near.bits())


def _scaled(x: Lanes, power: Lanes, _: Lanes) -> Lanes:
    """Return the binary32 patterns of numbers times powers of two, given as integers."""
    # Beyond, everything overflows or lies far below the last place; within, products are exact.
    power = power.long().larger(-100)
    exponent = power.below(100).choose(power, 100).shortened(INT) + 127
    return (x * (exponent << 23).number()).bits()


def _remainder(x: Lanes, y: Lanes) -> Lanes:
    """Return IEEE remainders, in binary64 as `halfsim.kernels.fast` explains."""
    wide, by = x.to_double(), y.to_double()
    rest = (wide - ((wide / by + _ROUNDER) - _ROUNDER) * by).to_single().bits()
    # A zero has the sign of x, which the sum or the difference of equal numbers may lack.
    rest = (rest & _MAGNITUDE).equals(0).choose(x.bits() & _SIGN, rest)
    rest = (y.bits() & _MAGNITUDE).equals(INFINITY).choose(x.bits(), rest)
    return (x.bits() & _MAGNITUDE).equals(INFINITY).choose(rest.of(_QUIET), rest).number()


_sums = waiting_loop(_odd_sum, chopped=True)
_differences = waiting_loop(lambda x, y, zero: _odd_sum(x, -y, zero), chopped=True)
_products = waiting_loop(lambda x, y, _: (x * y).bits())
_quotients = waiting_loop(lambda x, y, _: (x / y).bits(), by_zero=True)
_roots = waiting_loop(lambda x, _: x.root().bits())
_sums_of_products = waiting_loop(lambda x, y, c, zero: _odd_sum(x * y, c, zero), chopped=True)
_multiples = waiting_loop(_scaled, integers=True)
_singles = waiting_loop(_odd_single, chopped=True)
_remainders, _integers = make_loop(_remainder), make_loop(whole)


@kernel
def add(a, b, z, flags, control, seed, index):
    """Binary16 sum."""
    state = exchange(NEAREST)
    found = _sums((a, b), z, flags, make_limits(control))
    exchange(state)
    return found


@kernel
def subtract(a, b, z, flags, control, seed, index):
    """Binary16 difference."""
    state = exchange(NEAREST)
    found = _differences((a, b), z, flags, make_limits(control))
    exchange(state)
    return found


@kernel
def multiply(a, b, z, flags, control, seed, index):
    """Binary16 product; in binary32 it is exact."""
    state = exchange(NEAREST)
    found = _products((a, b), z, flags, make_limits(control))
    exchange(state)
    return found


@kernel
def divide(a, b, z, flags, control, seed, index):
    """Binary16 quotient, as in `halfsim.kernels.fast`."""
    state = exchange(NEAREST)
    found = _quotients((a, b), z, flags, make_limits(control))
    exchange(state)
    return found


@kernel
def sqrt(a, z, flags, control, seed, index):
    """Binary16 square root, likewise."""
    state = exchange(NEAREST)
    found = _roots((a,), z, flags, make_limits(control))
    exchange(state)
    return found


@kernel
def fma(a, b, c, z, flags, control, seed, index):
    """Binary16 fused multiply-add: an exact product and one sum."""
    state = exchange(NEAREST)
    found = _sums_of_products((a, b, c), z, flags, make_limits(control))
    exchange(state)
    return found


@kernel
def binary32_to_binary16(a, z, flags, control, seed, index):
    """Binary32 patterns, uint32, rounded to binary16."""
    limits = make_limits(control)
    state = exchange(limits.state)
    found = round_words(a, z, flags, limits)
    exchange(state)
    return found


@kernel
def binary64_to_binary16(a, z, flags, control, seed, index):
    """Binary64 patterns, int64, rounded to binary16."""
    state = exchange(NEAREST)
    found = _singles((a,), z, flags, make_limits(control))
    exchange(state)
    return found


@kernel
def scaleb(a, power, z, flags, control, seed, index):
    """Binary16 times a power of two; `power` is an integer."""
    state = exchange(NEAREST)
    found = _multiples((a, power), z, flags, make_limits(control))
    exchange(state)
    return found


@intrinsic
def _raise_nothing(typingctx, flags):
    """Clear flags, if there are any."""

    def codegen(context, builder, signature, args):
        if isinstance(flags, types.Array):
            array = context.make_array(flags)(context, builder, args[0])
            cgutils.memset(builder, array.data, array.nitems, 0)
        return context.get_dummy_value()

    return types.void(flags), codegen


@kernel
def remainder(a, b, z, flags, control, seed, index):
    """Binary16 IEEE remainder; exact, so that nothing is raised."""
    state = exchange(NEAREST)
    found = _remainders((a, b), z)
    exchange(state)
    _raise_nothing(flags)
    return found


@kernel
def round_to_integral(a, z, flags, control, seed, index):
    """Binary16 integral value, in the directions that processors know."""
    state = exchange(direction(control))
    found = _integers((a,), z)
    exchange(state)
    exact = has(control, Bit.exact)
    for i in range(z.size):
        flags[i] = exact & (a[i] != z[i])
    return found
