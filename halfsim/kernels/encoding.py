"""Binary32 arrays of numbers that a narrower format has, as its patterns: what arithmetic in that format is given."""

from __future__ import annotations

import struct
from functools import cache
from math import ldexp
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from halfsim.core._jit import kernel
from halfsim.core.fields import layout
from halfsim.formats import Format, Specials
from halfsim.kernels.threads import run_blocks
from halfsim.kernels.vectorcode import BYTE, INT, Lanes, Memory, each, pointers

__all__ = ["exact_patterns", "upper_halves"]

_BLOCK = 1 << 15
_INFINITE = 0x7F800000


class _Target(NamedTuple):
    """A format within binary32 as the loop needs it; -1 stands for what the format has not."""

    shift: int
    """Bits of fraction that binary32 has more."""
    rebias: int
    first: int
    """Pattern, in binary32, of the smallest normal number; 0 if subnormal numbers are those of binary32."""
    scale: int
    """Pattern, in binary32, of subnormal units per 1."""
    largest: int
    infinity: int
    nan: int
    sign: int
    """Places from the sign bit to that of binary32."""


@cache
def _target(fmt: Format) -> _Target | None:
    """Return the target of a format, or None for one whose subnormal numbers are too small for the loop."""
    fields = layout(fmt)
    fraction = fmt.precision - 1
    own = fmt.emin != -126
    if own and fmt.emin - fraction < -126:
        return None
    return _Target(
        shift=23 - fraction,
        rebias=(126 + fmt.emin) << 23,
        first=(127 + fmt.emin) << 23 if own else 0,
        scale=struct.unpack("<i", struct.pack("<f", ldexp(1.0, fraction - fmt.emin) if own else 1.0))[0],
        largest=fields.largest,
        infinity=fields.infinity if fmt.specials == Specials.ieee else -1,
        nan=-1 if fmt.specials == Specials.none else (1 << (fmt.width - 1)) - 1,
        sign=32 - fmt.width,
    )


def _encode(bits: Lanes, target: Any) -> tuple[Lanes, Lanes]:
    """Return (pattern, what is 0 if it is exact) of binary32 patterns; the target holds vectors."""
    magnitude = bits & 0x7FFFFFFF
    normal = (magnitude - target.rebias) >> target.shift
    lost = ((normal << target.shift) + target.rebias) ^ magnitude
    lost = target.largest.below(normal).choose(magnitude, lost)
    scaled = magnitude.number() * target.scale.number()
    below = magnitude.below(target.first)
    # Only a subnormal number is converted: others need not fit.
    units = below.choose(scaled, 0.0).truncated()
    # A nonzero number that has become no unit may also have been flushed.
    lost_units = units.equals(0).choose(magnitude, units.to_float().bits() ^ scaled.bits())
    pattern, lost = below.choose(units, normal), below.choose(lost_units, lost)
    special = magnitude.equals(_INFINITE).choose(target.infinity, target.nan)
    finite = magnitude.below(_INFINITE)
    pattern = finite.choose(pattern, special)
    return pattern | ((bits & -(1 << 31)) >> target.sign), finite.choose(lost, special & -(1 << 31))


@intrinsic
def _encode_all(typingctx, words, patterns, wrong, target):
    """Write the patterns of binary32 words, and 1 for each that is wrong."""
    kinds = words, patterns, wrong

    def codegen(context, builder, signature, args):
        source, results, marks = pointers(context, builder, kinds, args[:3])
        size = context.make_array(words)(context, builder, args[0]).nitems
        fields = cgutils.unpack_tuple(builder, args[3])

        def body(memory: Memory, j: Any) -> None:
            spread = _Target._make(memory.splat(builder.trunc(field, INT)) for field in fields)
            pattern, lost = _encode(memory.load(source, j), spread)
            memory.store(results, j, pattern.shortened(results.type.pointee))
            memory.store(marks, j, lost.equals(0).choose(lost & 0, 1).shortened(BYTE))

        each(builder, size, body)
        return context.get_dummy_value()

    return types.void(words, patterns, wrong, target), codegen


@kernel
def _encode_block(words, patterns, wrong, target):
    """Run `_encode_all`."""
    _encode_all(words, patterns, wrong, target)


@kernel
def upper_halves(words, halves):
    """Write the upper halves, uint16, of binary32 patterns, uint32: the bfloat16 ones of numbers that it has."""
    for i in range(halves.size):
        halves[i] = words[i] >> 16


def exact_patterns(words: NDArray[np.uint32], fmt: Format) -> NDArray[Any] | None:
    """Return the patterns of binary32 numbers, flat; None where the format lacks one, or the loop is not for it.

    NaNs lose their payloads. Patterns are uint16, or uint32 where those are too short.
    """
    target = None if numba.config.DISABLE_JIT else _target(fmt)
    if target is None:
        return None
    patterns = np.empty(words.size, np.uint16 if fmt.width <= 16 else np.uint32)
    wrong = np.empty(words.size, np.uint8)

    def block(start: int, stop: int) -> None:
        _encode_block(words[start:stop], patterns[start:stop], wrong[start:stop], target)

    run_blocks(block, words.size, _BLOCK)
    return None if wrong.any() else patterns
