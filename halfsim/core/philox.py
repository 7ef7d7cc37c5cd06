"""Philox4x32-10, the counter-based generator of every random rounding decision [@salmon2011]."""

from __future__ import annotations

from halfsim.core._jit import inlined, scalar
from halfsim.core.control import STOCHASTIC, rounding_mode

__all__ = ["draw", "first_word", "philox4x32"]

_LOW = 0xFFFFFFFF


@scalar
def _round(c0, c1, c2, c3, k0, k1):
    """Return the words after one round under its key; high halves of products may wrap to negative int64."""
    product0 = 0xD2511F53 * c0
    product1 = 0xCD9E8D57 * c2
    return (product1 >> 32) & _LOW ^ c1 ^ k0, product1 & _LOW, (product0 >> 32) & _LOW ^ c3 ^ k1, product0 & _LOW


@scalar
def _key(k0, k1, number):
    """Return the key of a round."""
    return (k0 + number * 0x9E3779B9) & _LOW, (k1 + number * 0xBB67AE85) & _LOW


@inlined
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Return the four 32-bit words of one counter under one key."""
    # Written out: compilers do not vectorise a loop around a loop.
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, *_key(k0, k1, 1))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, *_key(k0, k1, 2))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, *_key(k0, k1, 3))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, *_key(k0, k1, 4))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, *_key(k0, k1, 5))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, *_key(k0, k1, 6))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, *_key(k0, k1, 7))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, *_key(k0, k1, 8))
    return _round(c0, c1, c2, c3, *_key(k0, k1, 9))


@inlined
def first_word(seed, index):
    """Return the random word of the first rounding of result element `index`."""
    words = philox4x32(index & _LOW, (index >> 32) & _LOW, 0, 0, seed & _LOW, (seed >> 32) & _LOW)
    return words[0]


@scalar
def draw(control, seed, index, step):
    """Return the random word of result element `index` and rounding number `step` within it.

    The counter is (index low, index high, step // 4, 0), the word step % 4; 0 without drawing when the control word is
    not stochastic.
    """
    if rounding_mode(control) != STOCHASTIC:
        return 0
    w0, w1, w2, w3 = philox4x32(
        index & _LOW, (index >> 32) & _LOW, (step >> 2) & _LOW, 0, seed & _LOW, (seed >> 32) & _LOW
    )
    lane = step & 3
    if lane == 0:
        return w0
    if lane == 1:
        return w1
    if lane == 2:
        return w2
    return w3
