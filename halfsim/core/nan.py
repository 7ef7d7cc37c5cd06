"""NaN results: the default NaN, quieting, and which operand's NaN is passed on (IEEE 754-2019 §6.2)."""

from __future__ import annotations

from halfsim.core._jit import scalar
from halfsim.core.control import nan_default, nan_operand
from halfsim.core.fields import Kind
from halfsim.environment import DefaultNaN, NaNOperand
from halfsim.flags import Flags
from halfsim.formats import Specials

__all__ = ["choose_nan", "default_nan", "invalid", "pass_nan", "signals"]

_INVALID = int(Flags.invalid)


@scalar
def default_nan(fields, control):
    """Pattern of the NaN that invalid operations make; a format without NaN has zero in its place."""
    if fields.specials == Specials.none:
        return 0
    kind = nan_default(control)
    if fields.specials == Specials.nan_only:
        pattern = fields.infinity
    elif kind == DefaultNaN.allOnes:
        pattern = fields.infinity + fields.fraction_mask
    else:
        pattern = fields.infinity + ((fields.fraction_mask + 1) >> 1)
    return pattern + fields.sign_bit if kind == DefaultNaN.negative else pattern


@scalar
def invalid(fields, control):
    """Return (bits, flags) of an invalid operation."""
    return default_nan(fields, control), _INVALID


@scalar
def pass_nan(sign, fraction, fields, to):
    """Quiet a NaN of one format in another: the payload keeps its leading bits."""
    if to.specials == Specials.none:
        return sign * to.sign_bit
    if to.specials == Specials.nan_only:
        return sign * to.sign_bit + to.infinity
    if fields.specials != Specials.ieee:
        # Its one NaN has a sign and no payload.
        fraction = 0
    shift = to.precision - fields.precision
    payload = fraction << shift if shift >= 0 else fraction >> -shift
    quiet = (to.fraction_mask + 1) >> 1
    return sign * to.sign_bit + to.infinity + (payload | quiet)


@scalar
def signals(kind1, kind2, kind3):
    """Flags of NaN operands alone: invalid if one of them signals."""
    signaling = kind1 == Kind.signalingNaN or kind2 == Kind.signalingNaN or kind3 == Kind.signalingNaN
    return _INVALID if signaling else 0


@scalar
def choose_nan(kind1, kind2, kind3, control):
    """Which operand's NaN is the result: 1, 2 or 3 in the order given, 0 for the default NaN."""
    rule = nan_operand(control)
    if rule == NaNOperand.none:
        return 0
    if rule == NaNOperand.signalingFirst:
        if kind1 == Kind.signalingNaN:
            return 1
        if kind2 == Kind.signalingNaN:
            return 2
        if kind3 == Kind.signalingNaN:
            return 3
    if kind1 >= Kind.quietNaN:
        return 1
    if kind2 >= Kind.quietNaN:
        return 2
    return 3 if kind3 >= Kind.quietNaN else 0
