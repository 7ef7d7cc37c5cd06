"""Sign-bit operations (IEEE 754-2019 §5.5.1): no flags, NaNs pass unchanged but for their sign."""

from __future__ import annotations

from halfsim.core._jit import scalar

__all__ = ["absolute", "copysign", "negative", "signbit"]


@scalar
def signbit(a, fields):
    """Return the sign bit, 1 or 0, of any pattern."""
    return (a >> fields.sign_shift) & 1


@scalar
def copysign(a, b, fields):
    """Return a with the sign of b."""
    return a + (signbit(b, fields) - signbit(a, fields)) * fields.sign_bit


@scalar
def negative(a, fields):
    """Return a with its sign reversed."""
    return a + (1 - 2 * signbit(a, fields)) * fields.sign_bit


@scalar
def absolute(a, fields):
    """Return a with a positive sign."""
    return a - signbit(a, fields) * fields.sign_bit
