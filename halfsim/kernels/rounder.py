"""Loops that let results wait in binary32 and round them to binary16 in vectors: for `halfsim.kernels.flagged`.

A thousand results wait at a time, exact or rounded to odd or as good: they are computed in one rounding direction of
the processor and converted in that of the control word. Without flags what need not wait does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy import int32

from halfsim.core._jit import scalar
from halfsim.core.control import Bit, has, rounding_mode
from halfsim.core.fields import F16
from halfsim.flags import Flags
from halfsim.kernels.direct import number_of
from halfsim.kernels.f16c import (
    CHOPPED,
    NEAREST,
    Largest,
    converts_in,
    direction,
    in_parts,
    numbers_of,
    patterns_of,
    set_state,
)
from halfsim.kernels.simd import FIRST_OVER, INFINITY, SMALLEST, carries
from halfsim.kernels.vectorcode import BYTE, INT, LONG, Lanes, Memory, each, pointers
from halfsim.rounding import Rounding

__all__ = ["make_limits", "round_words", "waiting_loop"]

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
def make_limits(control):
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


class _Rounder:
    """Writes the loop that rounds waiting results; `flags` may be None."""

    def __init__(self, builder: Any, words: Any, z: Any, flags: Any, limits: Any) -> None:
        self.builder = builder
        self.words, self.z, self.flags = words, z, flags
        self.limits = limits
        self.largest = Largest(builder)

    def _pattern(self, bits: Lanes, ties: Lanes) -> Lanes:
        # An exact tie becomes more than one; nothing else changes.
        return patterns_of((bits | (bits & _MAGNITUDE).below(INFINITY).choose(ties, 0)).number())

    def _lanes(self, memory: Memory, place: Any) -> tuple[Lanes, Lanes]:
        """Return (patterns, flags as int32); to odd, if nobody asks for flags, inexact alone."""
        limits: Any = _Limits._make(memory.splat(field) for field in self.limits)
        bits = memory.load(self.words, place)
        raised = bits.of(int(Flags.inexact))
        if self.flags is None:
            pattern = patterns_of(bits.number())
        else:
            pattern = self._pattern(bits, limits.ties)
            magnitude, negative = bits & _MAGNITUDE, bits.below(0)
            tiny = magnitude.below(negative.choose(limits.tiny_negative, limits.tiny))
            over = ~magnitude.below(negative.choose(limits.over_negative, limits.over))
            raised = tiny.choose(bits.of(int(Flags.inexact | Flags.underflow)), raised)
            raised = over.choose(bits.of(int(Flags.inexact | Flags.overflow)), raised)
        # Of infinity nothing is lost.
        return pattern, numbers_of(pattern).unlike(bits.number()).choose(raised, 0)

    def write(self, count: Any, at: Any, start: Any, by_zero: Any = None) -> None:
        """Round `count` words from `at` on, to the results and flags from `start` on; without flags only to odd."""
        builder = self.builder

        def body(memory: Memory, j: Any) -> None:
            pattern, raised = in_parts(memory, builder.add(at, j), self._lanes)
            raised, place = raised.shortened(_WORD), builder.add(start, j)
            odd = memory.splat(builder.trunc(self.limits.odd, _WORD))
            pattern = pattern | (raised & odd)
            memory.store(self.z, place, pattern)
            magnitude = self.largest.take(memory, pattern)
            if self.flags is None:
                return
            if by_zero is not None:
                # Of finite numbers only those over zero are infinite without an overflow.
                infinite = magnitude.equals(F16.infinity) & raised.equals(0)
                finite = (memory.load(by_zero, place) & 0x7FFF).below(F16.infinity)
                raised = (infinite & finite).choose(raised.of(int(Flags.divideByZero)), raised)
            memory.store(self.flags, place, raised.shortened(BYTE))

        each(builder, count, body)

    def write_values(self, words: Callable[[Memory, Any], Lanes], count: Any, start: Any) -> None:
        """Round `count` words that a function returns, in any way but to odd, without flags."""
        builder = self.builder

        def lanes(part: Memory, j: Any) -> tuple[Lanes]:
            return (self._pattern(words(part, j), part.splat(self.limits.ties)),)

        def body(memory: Memory, j: Any) -> None:
            (pattern,) = in_parts(memory, j, lanes)
            memory.store(self.z, builder.add(start, j), pattern)
            self.largest.take(memory, pattern)

        each(builder, count, body)

    def to_odd_or(self, to_odd: Callable[[], None], other: Callable[[], None]) -> None:
        """Write both of two loops, of which one runs."""
        with self.builder.if_else(self.builder.trunc(self.limits.odd, ir.IntType(1))) as (odd, rest):
            with odd:
                to_odd()
            with rest:
                other()


def _change(builder: Any, state: Any, words: Any) -> None:
    """Change the processor's state; what is in `words`, which nobody else sees, must not move across either."""
    for change in (None, state, None):
        if change is not None:
            set_state(builder, change)
        else:
            kind = ir.FunctionType(ir.VoidType(), [words.type])
            builder.asm(kind, "", "r,~{memory}", [words], side_effect=True)


def _results(context: Any, builder: Any, kinds: Any, arrays: Any) -> list[Any]:
    """Return the addresses of results and of flags, or None."""
    count = 2 if isinstance(kinds[1], types.Array) else 1
    return [*pointers(context, builder, kinds[:count], arrays[:count]), None][:2]


def waiting_loop(
    compute: Callable[..., Lanes], chopped: bool = False, by_zero: bool = False, integers: bool = False
) -> Any:
    """Return a function for kernels that writes rounded results and flags: it returns whether there is a NaN.

    It takes a tuple of arrays of patterns, the last of integers if `integers`, arrays for results and flags, and
    limits. `compute` returns the binary32 pattern of a result from the numbers and the sign of zero in the limits,
    while the processor rounds toward zero if `chopped`, else to nearest; `by_zero` says whether it divides.
    """

    @intrinsic
    def run(typingctx, operands, z, flags, limits):
        def codegen(context, builder, signature, args):
            if not converts_in(context):
                return ir.Constant(ir.IntType(1), 0)
            sources = pointers(context, builder, operands, cgutils.unpack_tuple(builder, args[0]))
            read = len(sources) - integers
            target, marks = _results(context, builder, (z, flags), args[1:3])
            fields = _Limits._make(cgutils.unpack_tuple(builder, args[3]))
            words = cgutils.alloca_once(builder, INT, LONG(_PIECE))
            rounder = _Rounder(builder, words, target, marks, fields)
            size = context.make_array(z)(context, builder, args[1]).nitems

            def result(part: Memory, place: Any) -> Lanes:
                numbers = [part.load(source, place) for source in sources]
                numbers = [*map(number_of, numbers[:read]), *numbers[read:]]
                return compute(*numbers, part.splat(fields.zero))

            def in_pieces(write: Callable[..., None]) -> None:
                with cgutils.for_range_slice(builder, LONG(0), size, LONG(_PIECE)) as (start, _):
                    left = builder.sub(size, start)
                    count = builder.select(builder.icmp_signed("<", left, LONG(_PIECE)), left, LONG(_PIECE))

                    def body(memory: Memory, j: Any) -> None:
                        lanes = in_parts(memory, j, lambda part, j: (result(part, builder.add(start, j)),))
                        memory.store(words, j, *lanes)

                    _change(builder, INT(int(CHOPPED if chopped else NEAREST)), words)
                    each(builder, count, body)
                    _change(builder, fields.state, words)
                    write(count, start)

            def rounded() -> None:
                by = sources[0] if by_zero else None
                in_pieces(lambda count, start: rounder.write(count, LONG(0), start, by))

            def values() -> None:
                if chopped:
                    in_pieces(partial(rounder.write_values, lambda part, j: part.load(words, j)))
                else:
                    # What is not exact is rounded twice in one direction, or with bits enough to nearest.
                    _change(builder, fields.state, words)
                    rounder.write_values(result, size, LONG(0))

            if marks is None:
                rounder.to_odd_or(rounded, values)
            else:
                rounded()
            return rounder.largest.is_nan(builder)

        return types.boolean(operands, z, flags, limits), codegen

    return run


@intrinsic
def round_words(typingctx, words, z, flags, limits):
    """Round binary32 patterns, uint32 or int32, in the state of the limits: return whether there is a NaN."""

    def codegen(context, builder, signature, args):
        if not converts_in(context):
            return ir.Constant(ir.IntType(1), 0)
        (source,) = pointers(context, builder, (words,), args[:1])
        target, marks = _results(context, builder, (z, flags), args[1:3])
        rounder = _Rounder(builder, source, target, marks, _Limits._make(cgutils.unpack_tuple(builder, args[3])))
        size = context.make_array(z)(context, builder, args[1]).nitems
        rounded = partial(rounder.write, size, LONG(0), LONG(0))
        if marks is None:
            values = partial(rounder.write_values, lambda part, j: part.load(source, j), size, LONG(0))
            rounder.to_odd_or(rounded, values)
        else:
            rounded()
        return rounder.largest.is_nan(builder)

    return types.boolean(words, z, flags, limits), codegen
