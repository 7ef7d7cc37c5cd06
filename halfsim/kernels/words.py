"""Random words of 16 elements at once: Philox as in `halfsim.core.philox`, in vectors of int64.

Only the lower 32 bits of a lane count; what is above them is left over and means nothing.
"""

from __future__ import annotations

from numpy import int64

from halfsim.core._jit import scalar
from halfsim.kernels import integers, vectors
from halfsim.kernels.integers import bitwise_xor, multiply_low
from halfsim.kernels.vectors import splat, store

__all__ = ["draw_words"]

_LOW = 0xFFFFFFFF


@scalar
def _high(product):
    return integers.shift_right_unsigned(product, splat(int64(32)))


@scalar
def draw_words(index, seed, counter, words):
    """Write the four words of the elements `index`, a vector, and of roundings 4 * counter to 4 * counter + 3.

    Word i is the vector at i * LANES of `words`.
    """
    c0, c1 = index, _high(index)
    c2, c3 = splat(int64(counter & _LOW)), splat(int64(0))
    k0, k1 = int64(seed & _LOW), int64((seed >> 32) & _LOW)
    for _ in range(10):
        product0, product1 = multiply_low(c0, splat(int64(0xD2511F53))), multiply_low(c2, splat(int64(0xCD9E8D57)))
        c0 = bitwise_xor(bitwise_xor(_high(product1), c1), splat(k0))
        c2 = bitwise_xor(bitwise_xor(_high(product0), c3), splat(k1))
        c1, c3 = product1, product0
        k0, k1 = int64((k0 + 0x9E3779B9) & _LOW), int64((k1 + 0xBB67AE85) & _LOW)
    store(words, 0, c0)
    store(words, vectors.LANES, c1)
    store(words, 2 * vectors.LANES, c2)
    store(words, 3 * vectors.LANES, c3)
