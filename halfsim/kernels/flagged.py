"""Binary16 results with their flags in vectors, on processors that convert binary16 and for control words unflushed.

They are the loops of `halfsim.kernels.fast`, with the same arguments, and must not run where `f16c.available` is False.
Results wait in binary32, exact or rounded to odd or as good, a thousand at a time: they are computed in one rounding
direction of the processor and converted in that of the control word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy import int32

from halfsim.core._jit import kernel, scalar
from halfsim.core.control import Bit, has, rounding_mode
from halfsim.core.fields import F16
from halfsim.flags import Flags
from halfsim.kernels.f16c import (
    CHOPPED,
    NEAREST,
    Largest,
    binary64_to_odd,
    converts_in,
    differing,
    direction,
    exchange,
    in_parts,
    numbers_of,
    patterns_of,
    set_state,
)
from halfsim.kernels.simd import FIRST_OVER, INFINITY, SMALLEST, carries, float64_of
from halfsim.kernels.vectorcode import BYTE, INT, LONG, Lanes, Memory, each, pointers
from halfsim.rounding import Rounding

__all__ = ["add", "binary32_to_binary16", "binary64_to_binary16", "divide", "fma", "multiply", "sqrt", "subtract"]

_PIECE = 1024  # results that wait to be rounded: they stay in the nearest cache
_WORD = ir.IntType(16)
_MAGNITUDE = 0x7FFFFFFF


class _Limits(NamedTuple):
    """What a control word means for these loops, int32; magnitudes are binary32 patterns."""

    state: int
    """The processor's, for `exchange`, that converts as asked; to odd by way of zero."""
    ties: int
    """1 if ties go away from zero."""
    odd: int
    """1 if an inexact result gets its last bit set."""
    zero: int
    """Sign bit that an exactly zero sum of unlike signs gets."""
    tiny: int
    """First magnitude of a positive result that is not tiny,"""
    tiny_negative: int
    """and of a negative one."""
    over: int
    """First magnitude of a positive result that overflows,"""
    over_negative: int
    """and of a negative one."""


@scalar
def _make_limits(control):
    """Read a control word with a deterministic rounding and without flushing."""
    positive, negative, even = carries(control)
    mode, before = rounding_mode(control), has(control, Bit.tininessBefore)
    # Just below a power of two the last kept bit is 1.
    positive, negative = int32(positive + even), int32(negative + even)
    return _Limits(
        direction(control),
        int32(mode == Rounding.roundTiesToAway),
        int32(mode == Rounding.roundToOdd),
        int32(-0x80000000 if mode == Rounding.roundTowardNegative else 0),
        int32(SMALLEST) if before else int32(SMALLEST - positive),
        int32(SMALLEST) if before else int32(SMALLEST - negative),
        int32(FIRST_OVER - positive),
        int32(FIRST_OVER - negative),
    )


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


class _Rounder:
    """Writes the loop that rounds waiting results."""

    def __init__(self, builder: Any, words: Any, z: Any, flags: Any, limits: Any) -> None:
        self.builder = builder
        self.words, self.z, self.flags = words, z, flags
        self.limits = limits
        self.largest = Largest(builder)

    def _lanes(self, memory: Memory, place: Any) -> tuple[Lanes, Lanes]:
        """Return (patterns, flags as int32)."""
        limits: Any = _Limits._make(memory.splat(field) for field in self.limits)
        bits = memory.load(self.words, place)
        magnitude, number, negative = bits & _MAGNITUDE, bits.number(), bits.below(0)
        # An exact tie becomes more than one; nothing else changes.
        ties = magnitude.below(INFINITY).choose(limits.ties, 0)
        pattern = patterns_of((bits | ties).number())
        tiny = magnitude.below(negative.choose(limits.tiny_negative, limits.tiny))
        over = ~magnitude.below(negative.choose(limits.over_negative, limits.over))
        raised = tiny.choose(bits.of(int(Flags.inexact | Flags.underflow)), int(Flags.inexact))
        raised = over.choose(bits.of(int(Flags.inexact | Flags.overflow)), raised)
        # Of infinity nothing is lost.
        return pattern, numbers_of(pattern).unlike(number).choose(raised, 0)

    def write(self, count: Any, at: Any, start: Any, by_zero: Any = None) -> None:
        """Round `count` words from `at` on, to the results and flags from `start` on."""
        builder = self.builder

        def body(memory: Memory, j: Any) -> None:
            pattern, raised = in_parts(memory, builder.add(at, j), self._lanes)
            raised, place = raised.shortened(_WORD), builder.add(start, j)
            odd = memory.splat(builder.trunc(self.limits.odd, _WORD))
            pattern = pattern | (raised & odd)
            memory.store(self.z, place, pattern)
            magnitude = self.largest.take(memory, pattern)
            if by_zero is not None:
                # Of finite numbers only those over zero are infinite without an overflow.
                infinite = magnitude.equals(F16.infinity) & raised.equals(0)
                finite = (memory.load(by_zero, place) & 0x7FFF).below(F16.infinity)
                raised = (infinite & finite).choose(raised.of(int(Flags.divideByZero)), raised)
            memory.store(self.flags, place, raised.shortened(BYTE))

        each(builder, count, body)


def _change(builder: Any, state: Any, words: Any) -> None:
    """Change the processor's state; what is in `words`, which nobody else sees, must not move across either."""
    for change in (None, state, None):
        if change is not None:
            set_state(builder, change)
        else:
            kind = ir.FunctionType(ir.VoidType(), [words.type])
            builder.asm(kind, "", "r,~{memory}", [words], side_effect=True)


def _make_loop(compute: Callable[..., Lanes], chopped: bool = False, by_zero: bool = False) -> Any:
    """Return a function for kernels that writes rounded results and flags: it returns whether there is a NaN.

    It takes a tuple of arrays of binary16 patterns, arrays for results and flags, and limits. `compute` returns the
    binary32 pattern of a result from the numbers and the sign of zero in the limits, while the processor rounds toward
    zero if `chopped`, else to nearest; `by_zero` says whether it divides.
    """

    @intrinsic
    def run(typingctx, operands, z, flags, limits):
        def codegen(context, builder, signature, args):
            if not converts_in(context):
                return ir.Constant(ir.IntType(1), 0)
            sources = pointers(context, builder, operands, cgutils.unpack_tuple(builder, args[0]))
            target, marks = pointers(context, builder, (z, flags), args[1:3])
            fields = _Limits._make(cgutils.unpack_tuple(builder, args[3]))
            words = cgutils.alloca_once(builder, INT, LONG(_PIECE))
            rounder = _Rounder(builder, words, target, marks, fields)
            size = context.make_array(z)(context, builder, args[1]).nitems

            with cgutils.for_range_slice(builder, LONG(0), size, LONG(_PIECE)) as (start, _):
                left = builder.sub(size, start)
                count = builder.select(builder.icmp_signed("<", left, LONG(_PIECE)), left, LONG(_PIECE))

                def results(part: Memory, j: Any) -> tuple[Lanes]:
                    place = builder.add(start, j)
                    numbers = [numbers_of(part.load(source, place)) for source in sources]
                    return (compute(*numbers, part.splat(fields.zero)),)

                def body(memory: Memory, j: Any) -> None:
                    memory.store(words, j, *in_parts(memory, j, results))

                _change(builder, INT(int(CHOPPED if chopped else NEAREST)), words)
                each(builder, count, body)
                _change(builder, fields.state, words)
                rounder.write(count, LONG(0), start, sources[0] if by_zero else None)
            return rounder.largest.is_nan(builder)

        return types.boolean(operands, z, flags, limits), codegen

    return run


@intrinsic
def _round_words(typingctx, words, z, flags, limits):
    """Round binary32 patterns, uint32 or int32, in the state of the limits: return whether there is a NaN."""

    def codegen(context, builder, signature, args):
        if not converts_in(context):
            return ir.Constant(ir.IntType(1), 0)
        arrays = pointers(context, builder, (words, z, flags), args[:3])
        rounder = _Rounder(builder, *arrays, _Limits._make(cgutils.unpack_tuple(builder, args[3])))
        rounder.write(context.make_array(z)(context, builder, args[1]).nitems, LONG(0), LONG(0))
        return rounder.largest.is_nan(builder)

    return types.boolean(words, z, flags, limits), codegen


_sums = _make_loop(_odd_sum, chopped=True)
_differences = _make_loop(lambda x, y, zero: _odd_sum(x, -y, zero), chopped=True)
_products = _make_loop(lambda x, y, _: (x * y).bits())
_quotients = _make_loop(lambda x, y, _: (x / y).bits(), by_zero=True)
_roots = _make_loop(lambda x, _: x.root().bits())
_sums_of_products = _make_loop(lambda x, y, c, zero: _odd_sum(x * y, c, zero), chopped=True)


@kernel
def add(a, b, z, flags, control, seed, index):
    """Binary16 sum."""
    state = exchange(NEAREST)
    found = _sums((a, b), z, flags, _make_limits(control))
    exchange(state)
    return found


@kernel
def subtract(a, b, z, flags, control, seed, index):
    """Binary16 difference."""
    state = exchange(NEAREST)
    found = _differences((a, b), z, flags, _make_limits(control))
    exchange(state)
    return found


@kernel
def multiply(a, b, z, flags, control, seed, index):
    """Binary16 product; in binary32 it is exact."""
    state = exchange(NEAREST)
    found = _products((a, b), z, flags, _make_limits(control))
    exchange(state)
    return found


@kernel
def divide(a, b, z, flags, control, seed, index):
    """Binary16 quotient, as in `halfsim.kernels.fast`."""
    state = exchange(NEAREST)
    found = _quotients((a, b), z, flags, _make_limits(control))
    exchange(state)
    return found


@kernel
def sqrt(a, z, flags, control, seed, index):
    """Binary16 square root, likewise."""
    state = exchange(NEAREST)
    found = _roots((a,), z, flags, _make_limits(control))
    exchange(state)
    return found


@kernel
def fma(a, b, c, z, flags, control, seed, index):
    """Binary16 fused multiply-add: an exact product and one sum."""
    state = exchange(NEAREST)
    found = _sums_of_products((a, b, c), z, flags, _make_limits(control))
    exchange(state)
    return found


@kernel
def binary32_to_binary16(a, z, flags, control, seed, index):
    """Binary32 patterns, uint32, rounded to binary16."""
    limits = _make_limits(control)
    state = exchange(limits.state)
    found = _round_words(a, z, flags, limits)
    exchange(state)
    return found


@kernel
def binary64_to_binary16(a, z, flags, control, seed, index):
    """Binary64 patterns, int64, rounded to binary16."""
    limits, found = _make_limits(control), False
    waiting = np.empty(_PIECE, np.int32)
    state = exchange(limits.state)
    for start in range(0, z.size, _PIECE):
        stop = min(start + _PIECE, z.size)
        for i in range(start, stop):
            waiting[i - start] = binary64_to_odd(float64_of(a[i]))
        found |= _round_words(waiting, z[start:stop], flags[start:stop], limits)
    exchange(state)
    return found
