"""Where an exact result can lie between the numbers of binary16, and what becomes of it in each rounding direction.

Two exact results of one zone and one sign give results of one class with the same flags; so the zones that an operation
reaches tell every outcome it can have.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from halfsim.environment import Tininess
from halfsim.flags import Flags
from halfsim.rounding import Rounding

__all__ = ["INFINITY", "NORMAL", "SUBNORMAL", "ZERO", "Outcome", "Zone", "rounded"]

Outcome = tuple[int, int]
"""Index of the result's class, and `Flags` bits."""

ZERO, SUBNORMAL, NORMAL, INFINITY = 0, 2, 4, 6
"""Indices of positive classes; one more is the negative class."""

_NONE = 0
_INEXACT = int(Flags.inexact)
_UNDERFLOW = int(Flags.inexact | Flags.underflow)
_OVERFLOW = int(Flags.inexact | Flags.overflow)
_NEAREST = (Rounding.roundTiesToEven, Rounding.roundTiesToAway)


class Zone(Enum):
    """Magnitudes of exact results; the value says where they lie.

    Examples
    --------
    >>> from halfsim.testvectors.zones import Zone
    >>> Zone.tie_below_smallest.value
    'half the smallest number'
    """

    zero = "zero"
    far_below_smallest = "below half the smallest number"
    tie_below_smallest = "half the smallest number"
    below_smallest = "between half the smallest number and it"
    subnormal = "a subnormal number"
    between_subnormals = "between two subnormal numbers"
    far_below_normal = "between 2**-14 - 2**-24 and 2**-14 - 2**-25"
    tie_below_normal = "2**-14 - 2**-25"
    tiny_below_normal = "between 2**-14 - 2**-25 and 2**-14 - 2**-26"
    near_below_normal = "2**-14 - 2**-26, or between it and 2**-14"
    normal = "a normal number"
    between_normals = "between two normal numbers"
    below_halfway = "between 65504 and 65520"
    above_halfway = "65520, or between it and 65536"
    beyond = "65536 or more"


_BELOW_NORMAL = (Zone.far_below_normal, Zone.tie_below_normal, Zone.tiny_below_normal, Zone.near_below_normal)
_BEYOND = (Zone.below_halfway, Zone.above_halfway, Zone.beyond)


@lru_cache(maxsize=1024)
def rounded(zone: Zone, negative: int, rounding: Rounding, tininess: Tininess) -> Outcome:
    """Return the class and the flags of an exact result of a zone with a sign (0 or 1).

    Parameters
    ----------
    zone : Zone
        Where the exact result lies, not `Zone.zero` (whose sign is not that of the exact result).
    negative : int
        1 for results below zero.
    rounding : Rounding
        Rounding direction.
    tininess : Tininess
        When a result counts as tiny.

    Returns
    -------
    tuple of (int, int)
        Index in `coverage.CLASSES`, and `Flags` bits.

    Notes
    -----
    IEEE 754-2019 §4.3, §7.4 and §7.5. Tiny after rounding means: below 2**-14 when rounded to 11 bits with exponents
    without bound, that is to a multiple of 2**-25 there [@ieee754-2019].
    """
    away = rounding == (Rounding.roundTowardNegative if negative else Rounding.roundTowardPositive)
    nearest, odd = rounding in _NEAREST, rounding == Rounding.roundToOdd
    if zone in (Zone.subnormal, Zone.normal):
        return (SUBNORMAL if zone == Zone.subnormal else NORMAL) + negative, _NONE
    if zone == Zone.between_subnormals:
        return SUBNORMAL + negative, _UNDERFLOW
    if zone == Zone.between_normals:
        return NORMAL + negative, _INEXACT
    if zone in _BELOW_NORMAL:
        up = away or (nearest and zone != Zone.far_below_normal)
        if not up:
            return SUBNORMAL + negative, _UNDERFLOW
        tiny = zone in (Zone.far_below_normal, Zone.tie_below_normal) or (zone == Zone.tiny_below_normal and nearest)
        raised = _UNDERFLOW if tiny or tininess == Tininess.beforeRounding else _INEXACT
        return NORMAL + negative, raised
    if zone in _BEYOND:
        if away or (nearest and zone != Zone.below_halfway):
            return INFINITY + negative, _OVERFLOW
        return NORMAL + negative, _OVERFLOW if zone == Zone.beyond else _INEXACT
    up = away or odd or (nearest and zone == Zone.below_smallest)
    up = up or (zone == Zone.tie_below_smallest and rounding == Rounding.roundTiesToAway)
    return (SUBNORMAL if up else ZERO) + negative, _UNDERFLOW
