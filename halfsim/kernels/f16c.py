"""Processors that convert binary16 themselves (x86's F16C), and the rounding direction of a processor.

Rounding twice in one direction is rounding once: with the processor set to round toward zero, up or down, a binary32
result converted to binary16 is the exact one rounded in that direction. To nearest it is so wherever binary32 has bits
enough [@figueroa1995].

Whether there are such conversions is decided where code is generated, by the features it is generated for; without
them `converts` is the constant False and the code behind it goes away.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, reduce
from math import ldexp
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numpy import float32, float64, int32

from halfsim.core._jit import scalar
from halfsim.core.control import Bit, gradual, has, rounding_mode
from halfsim.core.fields import F16
from halfsim.kernels.simd import bits_of, decode, float_of
from halfsim.kernels.vectorcode import FLOAT, INT, LONG, MANY, Lanes, Memory
from halfsim.rounding import Rounding

__all__ = [
    "CHOPPED",
    "NEAREST",
    "PART",
    "Largest",
    "Reading",
    "available",
    "binary64_to_odd",
    "converts_in",
    "differing",
    "direct",
    "directed",
    "direction",
    "exchange",
    "in_parts",
    "make_reading",
    "narrow",
    "numbers_of",
    "patterns_of",
    "read",
    "set_state",
    "whole",
    "widen",
]

NEAREST = int32(0x1F80)
"""State for `exchange`: to nearest, exceptions masked, subnormal numbers kept."""
CHOPPED = int32(NEAREST | 3 << 13)
"""The same, toward zero."""
_SMALLEST, _SUBNORMAL_ULP, _NONE = float32(ldexp(1.0, -14)), float32(ldexp(1.0, -24)), float32(0.0)
PART = 8
"""Elements that processors convert at a time."""
_NUMBERS = ir.VectorType(FLOAT, PART)
_OF_THE_STATE, _UNEQUAL = INT(4), ir.IntType(8)(12)  # roundings and comparisons, as instructions know them
_DIRECTIONS = sum(
    state << 2 * mode
    for mode, state in (
        (Rounding.roundTowardNegative, 1),
        (Rounding.roundTowardPositive, 2),
        (Rounding.roundTowardZero, 3),
        (Rounding.roundToOdd, 3),
    )
)


def converts_in(context: Any) -> bool:
    """Whether the processor that a context of Numba's generates code for converts binary16."""
    features = context.codegen()._tm_features.split(",")
    return "+f16c" in features and "+avx" in features


@intrinsic
def converts(typingctx):
    """Whether the processor converts binary16."""

    def codegen(context, builder, signature, args):
        return ir.Constant(ir.IntType(1), int(converts_in(context)))

    return types.boolean(), codegen


@intrinsic
def widen(typingctx, pattern):
    """Binary32 number of a binary16 pattern, a signaling NaN quieted; only where `converts`."""

    def codegen(context, builder, signature, args):
        if not converts_in(context):
            return ir.Constant(ir.FloatType(), ir.Undefined)
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), codegen


@intrinsic
def narrow(typingctx, number):
    """Binary16 pattern of a binary32 number, rounded in the processor's direction; only where `converts`."""

    def codegen(context, builder, signature, args):
        if not converts_in(context):
            return ir.Constant(ir.IntType(16), ir.Undefined)
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), codegen


def numbers_of(patterns: Lanes) -> Lanes:
    """Binary32 numbers of binary16 patterns in vectors; only where `converts`."""
    halves = patterns.builder.bitcast(patterns.value, ir.VectorType(ir.HalfType(), patterns.value.type.count))
    return Lanes(patterns.builder, patterns.builder.fpext(halves, ir.VectorType(FLOAT, halves.type.count)))


def patterns_of(numbers: Lanes) -> Lanes:
    """Binary16 patterns of 1 or `PART` binary32 numbers, rounded in the processor's direction; likewise."""
    return _instruction("vcvtps2ph.256", ir.VectorType(ir.IntType(16), PART), _OF_THE_STATE, numbers)


def whole(numbers: Lanes) -> Lanes:
    """Integral numbers of 1 or `PART`, rounded in the processor's direction, of the same sign; likewise."""
    return _instruction("avx.round.ps.256", _NUMBERS, _OF_THE_STATE, numbers)


def differing(x: Lanes, y: Lanes) -> Lanes:
    """All ones, int32, where 1 or `PART` binary32 numbers differ, of which none is a NaN, else 0; likewise."""
    return _instruction("avx.cmp.ps.256", _NUMBERS, _UNEQUAL, x, y).bits()


def _instruction(name: str, kind: Any, how: Any, *operands: Lanes) -> Lanes:
    # LLVM draws its own functions before or behind a conversion from or to binary16, where few processors have
    # arithmetic and others call a function for every element; and packs comparisons to bits.
    builder, count = operands[0].builder, operands[0].value.type.count
    places = ir.Constant(ir.VectorType(INT, PART), [i % count for i in range(PART)])
    filled = [builder.shuffle_vector(x.value, x.value, places) for x in operands]
    function = ir.FunctionType(kind, [*[x.type for x in filled], how.type])
    callee = cgutils.get_or_insert_function(builder.module, function, f"llvm.x86.{name}")
    return Lanes(builder, builder.call(callee, [*filled, how])).part(0, count)


def in_parts(memory: Memory, index: Any, compute: Callable[[Memory, Any], tuple[Lanes, ...]]) -> list[Lanes]:
    """Return what is computed for a vector of many elements, or of one, in vectors of `PART` of them.

    Those are what processors convert; a longer one that is loaded whole is cut before.
    """
    part = Memory(memory.builder, min(PART, memory.width))
    places = [memory.builder.add(index, LONG(i)) for i in range(0, memory.width, part.width)]
    return [reduce(Lanes.beside, lanes) for lanes in zip(*(compute(part, place) for place in places), strict=True)]


class Largest:
    """The largest magnitude among binary16 patterns, which tells whether one is a NaN."""

    def __init__(self, builder: Any) -> None:
        self.cells = {width: Memory(builder, width).cell(ir.IntType(16)) for width in (1, MANY)}
        for cell in self.cells.values():
            builder.store(ir.Constant(cell.type.pointee, None), cell)

    def take(self, memory: Memory, patterns: Lanes) -> Lanes:
        """Take a vector into account, and return its magnitudes."""
        # This second use has vectors converted to registers, which is faster than to memory.
        cell, magnitudes = self.cells[memory.width], patterns & 0x7FFF
        memory.set(cell, magnitudes.larger(memory.get(cell)))
        return magnitudes

    def is_nan(self, builder: Any) -> Any:
        """Whether it is that of a NaN: one bit."""
        found = ir.Constant(ir.IntType(1), 0)
        for width, cell in self.cells.items():
            found = builder.or_(found, (~Memory(builder, width).get(cell).below(F16.infinity + 1)).any())
        return found


def set_state(builder: Any, state: Any) -> Any:
    """Generate what `exchange` does."""
    if not builder.module.triple.startswith("x86_64"):
        return state
    word = ir.IntType(32)
    old, new = cgutils.alloca_once(builder, word), cgutils.alloca_once(builder, word)
    builder.store(state, new)
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte])
    # Between the fences lies nothing that reads or writes an array, so no operation moves across.
    builder.fence("seq_cst", targetscope="singlethread")
    for name, place in (("stmxcsr", old), ("ldmxcsr", new)):
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}")
        builder.call(function, [builder.bitcast(place, byte)])
    builder.fence("seq_cst", targetscope="singlethread")
    return builder.load(old)


@intrinsic
def exchange(typingctx, state):
    """Set x86's floating-point control and status register, MXCSR, and return what it was; elsewhere do nothing."""

    def codegen(context, builder, signature, args):
        return set_state(builder, args[0])

    return types.int32(types.int32), codegen


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether the processor that kernels are compiled for converts binary16."""
    return bool(converts_in(cpu_target.target_context))


def direct(control: int) -> bool:
    """Whether the processor's own conversion rounds as a control word asks, in its `direction`."""
    return control & 7 <= int(Rounding.roundTowardPositive) and control == gradual(control)


def directed(control: int) -> bool:
    """Whether `exchange` has the processor's own arithmetic round as a control word asks."""
    return direct(control) and cpu_target.target_context.codegen().magic_tuple()[0].startswith("x86_64")


@scalar
def direction(control):
    """State for `exchange` that rounds as a control word asks, to odd by way of zero."""
    # Two bits for each mode, looked up without a branch.
    return int32(NEAREST | ((_DIRECTIONS >> 2 * rounding_mode(control)) & 3) << 13)


class Reading(NamedTuple):
    """What a control word means for `read` and `simd.decode`, if no more is asked of it; a `simd.Rule` says it too."""

    subnormal: float


@scalar
def make_reading(control):
    """Read how operands are read."""
    return Reading(_NONE if has(control, Bit.flushInputs) else _SUBNORMAL_ULP)


@scalar
def read(pattern, rule):
    """Return the binary32 number of a binary16 pattern, as `simd.decode` does, on any processor."""
    if converts():
        number = widen(pattern)
        limit = _SMALLEST if rule.subnormal == 0 else _NONE
        return float_of(int32(bits_of(number) & -0x80000000)) if abs(number) < limit else number
    return decode(pattern, rule)


@scalar
def binary64_to_odd(number):
    """Return the binary32 pattern of a binary64 number rounded to odd, in any direction of the processor."""
    near = float32(number)
    back = float64(near)
    bits = bits_of(near)
    odd = int32(int32(bits - 1 if abs(back) > abs(number) else bits) | 1)
    return odd if (back > number) | (back < number) else bits
