"""Random words of many elements: Philox as in `halfsim.core.philox`, in vectors of int32 lanes.

A product of 64 bits needs a lane as long, so the even lanes of a vector are multiplied and then the odd ones. One
shuffle makes a vector of the upper halves, with the middle two of every four lanes exchanged. They are joined with the
lower halves of the round before, which stay where they are: the exchange of that round undoes the other.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from halfsim.core._jit import inlined
from halfsim.core.fields import smaller
from halfsim.kernels.vectorcode import INT, LONG, Lanes, Memory, pointers, splat
from halfsim.kernels.vectors import LANES

__all__ = ["PIECE", "ROOM", "draw_words", "first_words", "room"]

PIECE = 512
"""Words that are drawn before they are used: they stay in the nearest cache."""
_MANY = 2 * LANES  # lanes of a step: enough products that do not wait for each other
ROOM = PIECE + _MANY
"""Words that are overwritten for `PIECE` of them."""
_LOW = 0xFFFFFFFF
_FACTORS = 0xD2511F53, 0xCD9E8D57
_STEPS = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


def _shuffled(x: Lanes, y: Lanes, four: tuple[int, ...]) -> Lanes:
    """Return, of every four lanes of x and the four of y, int32, those in four places of the eight."""
    count = x.value.type.count
    places = [start + i % 4 + i // 4 * count for start in range(0, count, 4) for i in four]
    return Lanes(x.builder, x.builder.shuffle_vector(x.value, y.value, ir.Constant(ir.VectorType(INT, count), places)))


def _exchanged(x: Lanes) -> Lanes:
    return _shuffled(x, x, (0, 2, 1, 3))


def _halves(context: Any, x: Lanes, factor: int) -> tuple[Lanes, Lanes]:
    """Return the upper halves of products, exchanged, and the lower ones, in place."""
    builder, kind = x.builder, x.value.type
    long = Lanes(builder, builder.bitcast(x.value, ir.VectorType(LONG, kind.count // 2)))
    products = (long & _LOW) * factor, (long >> 32) * factor
    even, odd = (Lanes(builder, builder.bitcast(product.value, kind)) for product in products)
    upper = _shuffled(even, odd, (1, 3, 5, 7))
    # Before SSE4.1 x86 has no product of 32 bits.
    multiplies = "+avx2" in context.codegen()._tm_features.split(",")
    return upper, x * factor if multiplies else _shuffled(even, odd, (0, 4, 2, 6))


def _philox(context: Any, c0: Lanes, c1: Lanes, c2: Lanes, c3: Lanes, seed: Any) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Return the four words of counters under a seed, an int64."""
    builder = c0.builder
    keys = builder.trunc(seed, INT), builder.trunc(builder.lshr(seed, LONG(32)), INT)
    c1, c3 = _exchanged(c1), _exchanged(c3)
    for number in range(_ROUNDS):
        k0, k1 = (
            splat(builder, builder.add(key, INT(number * step & _LOW)), c0.value.type.count)
            for key, step in zip(keys, _STEPS, strict=True)
        )
        (upper0, lower0), (upper1, lower1) = (
            _halves(context, c, factor) for c, factor in zip((c0, c2), _FACTORS, strict=True)
        )
        c0, c1, c2, c3 = upper1 ^ (c1 ^ k0), lower1, upper0 ^ (c3 ^ k1), lower0
    return c0, _exchanged(c1), c2, _exchanged(c3)


@intrinsic
def draw_words(typingctx, index, seed, counter, words):
    """Write the four words of the elements `index`, a vector, and of roundings 4 * counter to 4 * counter + 3.

    Word i is the vector at i * LANES of `words`, int64.
    """

    def codegen(context, builder, signature, args):
        elements, low = Lanes(builder, args[0]), splat(builder, builder.trunc(args[2], INT), LANES)
        drawn = _philox(context, elements.shortened(INT), (elements >> 32).shortened(INT), low, low.of(0), args[1])
        (data,) = pointers(context, builder, signature.args[3:], args[3:])
        for i, word in enumerate(drawn):
            kind = ir.VectorType(LONG, LANES)
            Memory(builder, LANES).store(data, LONG(i * LANES), Lanes(builder, builder.zext(word.value, kind)))
        return context.get_dummy_value()

    return types.void(index, types.int64, types.int64, words), codegen


@intrinsic
def _fill(typingctx, words, start, stop, seed, index):
    """Write the first words of the elements from `index` on, in whose indices only the lower halves differ."""

    def codegen(context, builder, signature, args):
        (data,) = pointers(context, builder, signature.args[:1], args[:1])
        _, start, stop, seed, index = args
        high = splat(builder, builder.trunc(builder.lshr(index, LONG(32)), INT), _MANY)
        lanes = Lanes(builder, ir.Constant(high.value.type, list(range(_MANY))))
        with cgutils.for_range_slice(builder, start, stop, LONG(_MANY)) as (place, _):
            low = builder.trunc(builder.add(index, builder.sub(place, start)), INT)
            zero = lanes.of(0)
            drawn = _philox(context, splat(builder, low, _MANY) + lanes, high, zero, zero, seed)
            Memory(builder, _MANY).store(data, place, drawn[0])
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64, types.int64, types.int64), codegen


@intrinsic
def room(typingctx):
    """Address of memory for `ROOM` words in the frame of the kernel that calls this."""

    def codegen(context, builder, signature, args):
        memory = cgutils.alloca_once(builder, INT, ROOM)
        # The frame is aligned with it, or else the keys in it would straddle lines of the cache.
        memory.align = 64
        return memory

    return types.CPointer(types.uint32)(), codegen


@inlined
def first_words(words, count, seed, index):
    """Write `first_word` of the elements `index` to `index + count - 1`, at most `PIECE`, to `ROOM` words, uint32."""
    done = 0
    while done < count:
        stop = smaller(count, done + (1 << 32) - ((index + done) & _LOW))
        # The last vector of a stretch may have too many, which the next one overwrites.
        _fill(words, done, stop, seed, index + done)
        done = stop
