"""Philox4x32-10, the counter-based generator of every random rounding decision [@salmon2011]."""

from __future__ import annotations

from halfsim.core._jit import scalar
from halfsim.core.control import STOCHASTIC, rounding_mode

__all__ = ["draw", "philox4x32"]

_LOW = 0xFFFFFFFF


@scalar
def _multiply(a, b):
    """Return (high, low) 32-bit halves of a 64-bit product, without leaving int64."""
    upper = a * (b >> 16)
    lower = a * (b & 0xFFFF)
    middle = upper + (lower >> 16)
    return middle >> 16, ((middle & 0xFFFF) << 16) | (lower & 0xFFFF)


@scalar
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Return the four 32-bit words of one counter under one key."""
    for _ in range(10):
        high0, low0 = _multiply(0xD2511F53, c0)
        high1, low1 = _multiply(0xCD9E8D57, c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 = (k0 + 0x9E3779B9) & _LOW
        k1 = (k1 + 0xBB67AE85) & _LOW
    return c0, c1, c2, c3


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
