"""The long accumulator: an array of signed limbs, whose last bit has the exponent `bottom`."""

from __future__ import annotations

import numpy as np

from halfsim.core import dot
from halfsim.core._jit import scalar

__all__ = ["accumulate", "clear", "round_limbs"]


@scalar
def clear(limbs):
    """Set all limbs to 0; Numba would compile the error message of an assignment to a slice."""
    for j in range(limbs.size):
        limbs[j] = 0


@scalar
def accumulate(limbs, bottom, sign, exponent, significand):
    """Add a term."""
    first = dot.limb_index(exponent, bottom)
    limbs[first] += dot.limb(sign, exponent, significand, first, bottom)
    if first + 1 < limbs.size:
        limbs[first + 1] += dot.limb(sign, exponent, significand, first + 1, bottom)


@scalar
def round_limbs(limbs, bottom, status, to, control, random):
    """Round the sum of all terms, of which `status` tells: return (bits, flags). The limbs hold nothing after it."""
    negative = _settle(limbs)
    top = limbs.size - 1
    while top > 0 and limbs[top] == 0:
        top -= 1
    middle = limbs[top - 1] if top > 0 else np.int64(0)
    low = limbs[top - 2] if top > 1 else np.int64(0)
    sticky = 0
    for j in range(top - 2):
        if limbs[j]:
            sticky = 1
    return dot.finish_exact(status, negative, top, limbs[top], middle, low, sticky, bottom, to, control, random)


@scalar
def _settle(limbs):
    """Carry, and turn a negative sum into its magnitude: return its sign."""
    _carry(limbs)
    if limbs[limbs.size - 1] >= 0:
        return 0
    for j in range(limbs.size):
        limbs[j] = -limbs[j]
    _carry(limbs)
    return 1


@scalar
def _carry(limbs):
    for j in range(limbs.size - 1):
        limbs[j], over = dot.carry(limbs[j])
        limbs[j + 1] += over
