"""Where the exact results of finite operands lie, class by class, with the reason why they lie nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from halfsim.testvectors.zones import NORMAL, SUBNORMAL, ZERO, Zone

__all__ = ["FINITE", "Exact", "kind_of"]

_Z = Zone
_LOW = (_Z.far_below_smallest, _Z.tie_below_smallest, _Z.below_smallest)
_EDGE = (_Z.far_below_normal, _Z.tie_below_normal, _Z.tiny_below_normal, _Z.near_below_normal)
_SMALL = (*_LOW, _Z.subnormal, _Z.between_subnormals)
_NORMALS = (_Z.normal, _Z.between_normals)
_OVER = (_Z.below_halfway, _Z.above_halfway, _Z.beyond)
_EVERY = (*_SMALL, *_EDGE, *_NORMALS, *_OVER)


@dataclass(frozen=True, slots=True)
class Exact:
    """Where exact results lie: zones of those with sign 0 and with sign 1; a zero's sign is the direction's."""

    reason: str
    positive: tuple[Zone, ...] = ()
    negative: tuple[Zone, ...] = ()
    zero: bool = False

    def signed(self, sign: int) -> Exact:
        """Return the mirror image for sign 1."""
        return Exact(self.reason, self.negative, self.positive, self.zero) if sign else self


def kind_of(index: int) -> int:
    """Return the class of a magnitude: the index of the positive class."""
    return index & ~1


_TINY = "a product of subnormal numbers lies below 2**-28: the sum is the addend and a trace, never exact"
# (kinds of the factors, kind of the addend): reason, zones with the product's sign, with the addend's, exact zero.
_Row = dict[tuple[int, int, int], tuple[str, tuple[Zone, ...], tuple[Zone, ...], bool]]
_S, _N = SUBNORMAL, NORMAL
_SAME: _Row = {
    (_S, _S, _S): (_TINY, (_Z.between_subnormals, _Z.far_below_normal), (), False),
    (_S, _S, _N): (_TINY, (_Z.between_normals, _Z.below_halfway), (), False),
    (_S, _N, _S): (
        "the sum exceeds the addend, and a subnormal times a normal number lies below 4",
        (_Z.subnormal, _Z.between_subnormals, *_EDGE, *_NORMALS), (), False,
    ),
    (_S, _N, _N): (
        "the sum exceeds the normal addend, by less than 4",
        (*_NORMALS, _Z.below_halfway), (), False,
    ),
    (_N, _N, _S): (
        "the sum exceeds the subnormal addend",
        (_Z.subnormal, _Z.between_subnormals, *_EDGE, *_NORMALS, *_OVER), (), False,
    ),
    (_N, _N, _N): ("the sum exceeds the normal addend", (*_NORMALS, *_OVER), (), False),
}  # fmt: skip
_OPPOSITE: _Row = {
    (_S, _S, _S): (_TINY, (), (_Z.below_smallest, _Z.between_subnormals), False),
    (_S, _S, _N): (_TINY, (), (_Z.near_below_normal, _Z.between_normals), False),
    (_S, _N, _S): (
        "with the addend's sign the result is below that subnormal number, with the product's below 4",
        (*_SMALL, *_EDGE, *_NORMALS), _SMALL, True,
    ),
    (_S, _N, _N): (
        "with the addend's sign the result is below the addend, with the product's below 4",
        (*_SMALL, *_EDGE, *_NORMALS), (*_SMALL, *_EDGE, *_NORMALS), True,
    ),
    (_N, _N, _S): ("with the addend's sign the result is below that subnormal number", _EVERY, _SMALL, True),
    (_N, _N, _N): (
        "with the addend's sign the result is below the addend, which is at most 65504",
        _EVERY, (*_SMALL, *_EDGE, *_NORMALS), True,
    ),
}  # fmt: skip


def _finite_sum(classes: tuple[int, ...]) -> Exact:
    (a, b), sign = classes, classes[0] & 1
    kinds = sorted((kind_of(a), kind_of(b)))
    if sign == (b & 1):
        match kinds:
            case [_, 2]:
                return Exact(
                    "the sum of subnormal numbers is a multiple of 2**-24 below 2**-13: exact",
                    (_Z.subnormal, _Z.normal),
                ).signed(sign)
            case [2, _]:
                return Exact(
                    "a subnormal number takes a normal one up by less than 2**-14", (*_NORMALS, _Z.below_halfway)
                ).signed(sign)
        return Exact("the sum of normal numbers of one sign is above both", (*_NORMALS, *_OVER)).signed(sign)
    if kinds == [SUBNORMAL, SUBNORMAL]:
        return Exact("the difference of subnormal numbers is exact", (_Z.subnormal,), (_Z.subnormal,), zero=True)
    part = (_Z.subnormal, *_NORMALS)
    if kinds == [NORMAL, NORMAL]:
        return Exact("the difference of numbers is a multiple of 2**-24, exact where subnormal", part, part, zero=True)
    larger = a if kind_of(a) == NORMAL else b
    return Exact("a subnormal number does not outweigh a normal one; subnormal differences are exact", part).signed(
        larger & 1
    )


def _finite_product(classes: tuple[int, ...]) -> Exact:
    a, b = classes
    match sorted((kind_of(a), kind_of(b))):
        case [2, 2]:
            exact = Exact("the product of two subnormal numbers lies below 2**-28", (_Z.far_below_smallest,))
        case [2, _]:
            exact = Exact("a subnormal times a normal number lies below 4", (*_SMALL, *_EDGE, *_NORMALS))
        case _:
            exact = Exact("the product of normal numbers is not zero, and below 2**-14 it is tiny", _EVERY)
    return exact.signed((a ^ b) & 1)


def _finite_quotient(classes: tuple[int, ...]) -> Exact:
    a, b = classes
    # A/B < 1 is at most 1 - 1/B, and A/B < 2 at most 2 - 1/B: the last part of 2**-11 below a power of two is empty,
    # and its end is (2 - 2**-10)/1 alone, for which a subnormal number has too few bits.
    below = (*_SMALL, _Z.far_below_normal, *_NORMALS)
    match (kind_of(a), kind_of(b)):
        case (2, 2):
            exact = Exact("the quotient of subnormal numbers lies between 2**-10 and 2**10", _NORMALS)
        case (2, _):
            exact = Exact("a subnormal over a normal number is below 1 and no power of two less 2**-11 of it", below)
        case (_, 2):
            exact = Exact(
                "a normal over a subnormal number is above 1; 65504 to 65536 is empty", (*_NORMALS, _Z.beyond)
            )
        case _:
            reason = "a quotient is not within the last part of 2**-11 below a power of two"
            exact = Exact(reason, (*below, _Z.tie_below_normal, _Z.beyond))
    return exact.signed((a ^ b) & 1)


def _finite_fused(classes: tuple[int, ...]) -> Exact:
    a, b, c = classes
    sign = (a ^ b) & 1
    if kind_of(c) == ZERO:
        return _finite_product((a, b))
    same, kinds = sign == (c & 1), (min(kind_of(a), kind_of(b)), max(kind_of(a), kind_of(b)), kind_of(c))
    reason, product_side, addend_side, zero = (_SAME if same else _OPPOSITE)[kinds]
    return Exact(reason, product_side, addend_side, zero).signed(sign)


def _finite_scaled(classes: tuple[int, ...]) -> Exact:
    a, b = classes
    subnormal = kind_of(a) == SUBNORMAL
    if b == NORMAL:
        zones: tuple[Zone, ...] = (_Z.subnormal, _Z.normal, _Z.beyond) if subnormal else (_Z.normal, _Z.beyond)
        exact = Exact("scaling up keeps the significand of 11 bits: exact up to 65504", zones)
    elif subnormal:
        exact = Exact("scaling down a subnormal number at least halves it", _SMALL)
    else:
        exact = Exact("scaling down keeps 11 bits: exact while normal", (*_SMALL, _Z.tie_below_normal, _Z.normal))
    return exact.signed(a & 1)


def _finite_wide(classes: tuple[int, ...]) -> Exact:
    (a,) = classes
    if kind_of(a) == SUBNORMAL:
        return Exact("a subnormal number of the wider format lies far below 2**-25", (_Z.far_below_smallest,)).signed(
            a & 1
        )
    return Exact("a number that is not zero is not an exact zero", _EVERY).signed(a & 1)


def _finite_integer(classes: tuple[int, ...]) -> Exact:
    (a,) = classes
    return Exact("an integer that is not zero is at least one", (*_NORMALS, *_OVER)).signed(a & 1)


FINITE: dict[str, Callable[[tuple[int, ...]], Exact]] = {
    "add": _finite_sum,
    "multiply": _finite_product,
    "divide": _finite_quotient,
    "fma": _finite_fused,
    "scaleb": _finite_scaled,
    "convert": _finite_wide,
    "integer": _finite_integer,
}
"""Of the rules by name; operands are finite and not zero, but for an addend."""
