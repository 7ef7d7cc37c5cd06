"""Which results and flags an operation can have for operands of given classes, by argument, not by search.

Where the operands are finite, each row of a table names the zones that hold the exact results, with the reason why they
lie nowhere else. Rounding then decides (`zones.rounded`). What no zone gives is unreachable, for the reason of the row;
tests show operands for all that is left.
"""

from __future__ import annotations

from dataclasses import dataclass

from halfsim.environment import Environment
from halfsim.flags import Flags
from halfsim.rounding import Rounding
from halfsim.testvectors.exact import FINITE, kind_of
from halfsim.testvectors.patterns import FORMATS
from halfsim.testvectors.subjects import Subject
from halfsim.testvectors.zones import INFINITY, NORMAL, SUBNORMAL, ZERO, Outcome, rounded

__all__ = ["Outcomes", "outcomes", "rule_of"]

_QUIET, _SIGNALING = 8, 9
_INVALID, _BY_ZERO = int(Flags.invalid), int(Flags.divideByZero)
_WIDE = ("f32", "f64", "i32", "ui32", "i64", "ui64")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What operands of some classes can give.

    Parameters
    ----------
    possible : frozenset of (int, int)
        Class of the result and `Flags` bits.
    reason : str
        Why there is nothing else.

    Examples
    --------
    >>> import halfsim as hs
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.outcomes import outcomes
    >>> two = outcomes(subject("multiply"), (2, 2), hs.Rounding.roundTowardZero, hs.IEEE)
    >>> two.possible, two.reason
    (frozenset({(0, 3)}), 'the product of two subnormal numbers lies below 2**-28')
    """

    possible: frozenset[Outcome]
    reason: str


def _only(result: int, flags: int, reason: str) -> Outcomes:
    return Outcomes(frozenset([(result, flags)]), reason)


def outcomes(
    subject: Subject, classes: tuple[int, ...], rounding: Rounding, environment: Environment
) -> Outcomes | None:
    """Return what an operation can give for operands of some classes, or None where there is no rule.

    Parameters
    ----------
    subject : Subject
        The operation: one of add, subtract, multiply, divide, remainder, fma and scaleb, or a conversion to binary16
        from binary32, binary64 or integers.
    classes : tuple of int
        Indices in `coverage.CLASSES`, one per operand.
    rounding : Rounding
        Rounding direction.
    environment : Environment
        Tininess and whether infinity times zero plus a quiet NaN is invalid; subnormals are not to be flushed.

    Returns
    -------
    Outcomes or None
        The possible outcomes, and why there are no others.
    """
    name = rule_of(subject)
    if not name:
        return None
    if subject.name == "subtract" and max(classes) < _QUIET:
        classes = (classes[0], classes[1] ^ 1)
    special = _with_nan(name, classes, environment) or _SPECIAL[name](classes, rounding)
    if special is not None:
        return special
    exact = FINITE[name](classes)
    found = {rounded(zone, 0, rounding, environment.tininess) for zone in exact.positive}
    found |= {rounded(zone, 1, rounding, environment.tininess) for zone in exact.negative}
    if exact.zero:
        found.add((_zero_sign(rounding), 0))
    return Outcomes(frozenset(found), exact.reason)


def rule_of(subject: Subject) -> str:
    """Return the name of the rule for an operation, empty where there is none."""
    if subject.operation != "convert":
        name = "add" if subject.name == "subtract" else subject.name
        return name if name in _SPECIAL else ""
    if subject.result != "f16" or subject.operands[0] not in _WIDE:
        return ""
    return "convert" if subject.operands[0] in FORMATS else "integer"


def _zero_sign(rounding: Rounding) -> int:
    return ZERO + (rounding == Rounding.roundTowardNegative)


def _with_nan(name: str, classes: tuple[int, ...], environment: Environment) -> Outcomes | None:
    if max(classes) < _QUIET or name == "integer":
        return None
    if _SIGNALING in classes:
        return _only(_QUIET, _INVALID, "a signaling NaN is invalid and gives a quiet NaN")
    invalid = name == "fma" and {kind_of(index) for index in classes[:2]} == {ZERO, INFINITY}
    if invalid and environment.nan.inf_times_zero_invalid:
        return _only(_QUIET, _INVALID, "infinity times zero is invalid")
    return _only(_QUIET, 0, "a quiet NaN gives a quiet NaN without a flag")


def _sum(classes: tuple[int, ...], rounding: Rounding) -> Outcomes | None:
    a, b = classes
    if INFINITY in (kind_of(a), kind_of(b)):
        if kind_of(a) == kind_of(b) and a != b:
            return _only(_QUIET, _INVALID, "infinity minus infinity is invalid")
        return _only(a if kind_of(a) == INFINITY else b, 0, "infinity plus another operand is that infinity")
    if kind_of(a) == kind_of(b) == ZERO:
        return _only(a if a == b else _zero_sign(rounding), 0, "a sum of zeros is a zero; the direction gives its sign")
    if ZERO in (kind_of(a), kind_of(b)):
        return _only(b if kind_of(a) == ZERO else a, 0, "the sum with a zero is the other operand")
    return None


def _product(classes: tuple[int, ...], rounding: Rounding) -> Outcomes | None:
    a, b = classes
    sign, kinds = (a ^ b) & 1, {kind_of(a), kind_of(b)}
    if {ZERO, INFINITY} == kinds:
        return _only(_QUIET, _INVALID, "infinity times zero is invalid")
    for kind in (INFINITY, ZERO):
        if kind in kinds:
            return _only(kind + sign, 0, "infinity or zero times another operand is exact")
    return None


def _quotient(classes: tuple[int, ...], rounding: Rounding) -> Outcomes | None:
    a, b = classes
    sign = (a ^ b) & 1
    if kind_of(a) == kind_of(b) and kind_of(a) in (ZERO, INFINITY):
        return _only(_QUIET, _INVALID, "0/0 and infinity/infinity are invalid")
    if kind_of(a) == INFINITY:
        return _only(INFINITY + sign, 0, "infinity over a number is infinity, without a flag")
    if kind_of(a) == ZERO or kind_of(b) == INFINITY:
        return _only(ZERO + sign, 0, "zero over a number, or a number over infinity, is zero")
    if kind_of(b) == ZERO:
        return _only(INFINITY + sign, _BY_ZERO, "a number over zero is infinity and raises divideByZero")
    return None


def _fused(classes: tuple[int, ...], rounding: Rounding) -> Outcomes | None:
    a, b, c = classes
    product = _product((a, b), rounding)
    if product is not None:
        ((result, flags),) = product.possible
        return product if flags else _sum((result, c), rounding) or _only(c, 0, "the sum with a zero is the addend")
    if kind_of(c) == INFINITY:
        return _only(c, 0, "a finite product plus infinity is that infinity")
    return None


def _remaining(classes: tuple[int, ...], rounding: Rounding) -> Outcomes | None:
    x, y = classes
    if kind_of(x) == INFINITY or kind_of(y) == ZERO:
        return _only(_QUIET, _INVALID, "the remainder of infinity, or by zero, is invalid")
    if kind_of(x) == ZERO or kind_of(y) == INFINITY:
        return _only(x, 0, "the remainder of zero, or by infinity, is the dividend")
    # A zero has the dividend's sign; half a subnormal divisor, or a subnormal dividend, bounds the rest.
    found = {(SUBNORMAL, 0), (SUBNORMAL + 1, 0)}
    if kind_of(x) == NORMAL or kind_of(y) == SUBNORMAL:
        found.add((ZERO + (x & 1), 0))
    if kind_of(x) == kind_of(y) == NORMAL:
        found |= {(NORMAL, 0), (NORMAL + 1, 0)}
    return Outcomes(frozenset(found), "a remainder is exact and neither above the dividend nor above half the divisor")


def _scaled(classes: tuple[int, ...], rounding: Rounding) -> Outcomes | None:
    a, b = classes
    if b == ZERO or kind_of(a) in (ZERO, INFINITY):
        return _only(a, 0, "scaled by one, or zero or infinity scaled: the operand")
    return None


def _wide(classes: tuple[int, ...], rounding: Rounding) -> Outcomes | None:
    (a,) = classes
    return _only(a, 0, "zero and infinity convert to themselves") if kind_of(a) in (ZERO, INFINITY) else None


def _integer_zero(classes: tuple[int, ...], rounding: Rounding) -> Outcomes | None:
    return _only(ZERO, 0, "the integer zero gives +0") if classes[0] == ZERO else None


_SPECIAL = {
    "add": _sum,
    "multiply": _product,
    "divide": _quotient,
    "fma": _fused,
    "remainder": _remaining,
    "scaleb": _scaled,
    "convert": _wide,
    "integer": _integer_zero,
}
