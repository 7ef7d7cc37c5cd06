"""Order: the 22 comparisons, minimum and maximum of three standards, total order, classes and signs."""

from __future__ import annotations

from enum import IntEnum

from halfsim.core._jit import scalar
from halfsim.core.arithmetic import nan2, read
from halfsim.core.fields import Kind, unpack
from halfsim.core.nan import signals
from halfsim.flags import Flags

__all__ = ["Class", "Extremum", "Relation", "classify", "compare", "extremum", "total_order"]

_INVALID = int(Flags.invalid)


class Relation(IntEnum):
    """The four mutually exclusive relations of IEEE 754-2019 §5.11, one bit each; masks of them name a comparison."""

    less = 1
    equal = 2
    greater = 4
    unordered = 8


class Extremum(IntEnum):
    """Which minimum or maximum: a convention, and bits to ask for the maximum and for magnitudes."""

    propagate = 0
    """IEEE 754-2019 §9.6 minimum: a NaN operand gives a NaN."""
    number = 1
    """IEEE 754-2019 §9.6 minimumNumber: the number, even beside a signaling NaN."""
    number2008 = 2
    """IEEE 754-2008 §5.3.1 minNum: the number beside a quiet NaN; a signaling NaN gives a NaN."""
    second = 3
    """x86 VMINSH: the second operand when either is a NaN or both are zeros; any NaN is invalid."""
    maximum = 4
    magnitude = 8


class Class(IntEnum):
    """The ten classes of IEEE 754-2019 §5.7.2, in the standard's order.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> hs.Class(hs.classify(np.float16(-np.inf)))
    <Class.negativeInfinity: 2>
    """

    signalingNaN = 0
    """A NaN whose quiet bit, the first of its fraction, is 0 (§6.2.1); operations on it are invalid."""
    quietNaN = 1
    """A NaN whose quiet bit is 1 (§6.2.1); most operations pass it on and raise nothing."""
    negativeInfinity = 2
    """-inf."""
    negativeNormal = 3
    """Less than zero and finite, with a magnitude of at least the smallest normal number."""
    negativeSubnormal = 4
    """Less than zero, with a magnitude below the smallest normal number."""
    negativeZero = 5
    """-0."""
    positiveZero = 6
    """+0."""
    positiveSubnormal = 7
    """Greater than zero and below the smallest normal number."""
    positiveNormal = 8
    """At least the smallest normal number, and finite."""
    positiveInfinity = 9
    """+inf."""


@scalar
def _key(sign, magnitude):
    return -magnitude if sign else magnitude


@scalar
def _magnitude(bits, sign, significand, kind, fields):
    """Pattern without its sign, and 0 for a flushed operand."""
    if kind == Kind.finite and significand == 0:
        return 0
    return bits - sign * fields.sign_bit


@scalar
def compare(a, b, mask, signaling, fields, control):
    """Return (0 or 1, flags): whether the relation of a to b is one of `mask`, a union of `Relation` bits."""
    sign_a, _, significand_a, kind_a = read(a, fields, control)
    sign_b, _, significand_b, kind_b = read(b, fields, control)
    if kind_a >= Kind.quietNaN or kind_b >= Kind.quietNaN:
        flags = _INVALID if signaling else signals(kind_a, kind_b, Kind.finite)
        return (1 if mask & Relation.unordered else 0), flags
    key_a = _key(sign_a, _magnitude(a, sign_a, significand_a, kind_a, fields))
    key_b = _key(sign_b, _magnitude(b, sign_b, significand_b, kind_b, fields))
    if key_a < key_b:
        relation = Relation.less
    elif key_a > key_b:
        relation = Relation.greater
    else:
        relation = Relation.equal
    return (1 if mask & relation else 0), 0


@scalar
def _extremum_nan(a, kind_a, b, kind_b, convention, fields, control):
    """Return (bits, flags) of a minimum or maximum with a NaN operand."""
    if convention == Extremum.second:
        return b, _INVALID
    flags = signals(kind_a, kind_b, Kind.finite)
    one_number = kind_a < Kind.quietNaN or kind_b < Kind.quietNaN
    if one_number and (convention == Extremum.number or (convention == Extremum.number2008 and flags == 0)):
        return (a if kind_a < Kind.quietNaN else b), flags
    return nan2(a, kind_a, b, kind_b, fields, fields, control)


@scalar
def extremum(a, b, code, fields, control):
    """Return (bits, flags) of a minimum or maximum; `code` is a union of `Extremum` members. -0 orders below +0."""
    convention = code & 3
    sign_a, _, significand_a, kind_a = read(a, fields, control)
    sign_b, _, significand_b, kind_b = read(b, fields, control)
    magnitude_a = _magnitude(a, sign_a, significand_a, kind_a, fields)
    magnitude_b = _magnitude(b, sign_b, significand_b, kind_b, fields)
    # A flushed operand is a zero wherever it is returned, beside a NaN too.
    a = sign_a * fields.sign_bit + magnitude_a
    b = sign_b * fields.sign_bit + magnitude_b
    if kind_a >= Kind.quietNaN or kind_b >= Kind.quietNaN:
        return _extremum_nan(a, kind_a, b, kind_b, convention, fields, control)
    if convention == Extremum.second and magnitude_a | magnitude_b == 0:
        return b, 0
    # Doubled, with the sign in the last bit, so that -0 lies between +0 and the negative numbers.
    key_a = _key(sign_a, 2 * magnitude_a + sign_a)
    key_b = _key(sign_b, 2 * magnitude_b + sign_b)
    if code & Extremum.magnitude and magnitude_a != magnitude_b:
        key_a = magnitude_a
        key_b = magnitude_b
    if code & Extremum.maximum:
        return (a if key_a > key_b else b), 0
    return (a if key_a < key_b else b), 0


@scalar
def total_order(a, b, fields):
    """Whether a precedes or equals b in the order of all patterns (IEEE 754-2019 §5.10): 1 or 0."""
    sign_a = (a >> fields.sign_shift) & 1
    sign_b = (b >> fields.sign_shift) & 1
    key_a = _key(sign_a, 2 * (a - sign_a * fields.sign_bit) + sign_a)
    key_b = _key(sign_b, 2 * (b - sign_b * fields.sign_bit) + sign_b)
    return 1 if key_a <= key_b else 0


@scalar
def classify(a, fields):
    """Return the `Class` of a pattern."""
    sign, _, significand, kind = unpack(a, fields)
    if kind == Kind.signalingNaN:
        return Class.signalingNaN
    if kind == Kind.quietNaN:
        return Class.quietNaN
    if kind == Kind.infinite:
        return Class.negativeInfinity if sign else Class.positiveInfinity
    if significand == 0:
        return Class.negativeZero if sign else Class.positiveZero
    if significand <= fields.fraction_mask:
        return Class.negativeSubnormal if sign else Class.positiveSubnormal
    return Class.negativeNormal if sign else Class.positiveNormal
