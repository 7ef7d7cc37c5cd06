"""What one rounding did, read off a watched call of the core: the exact value, the digits, the decision."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from halfsim.core.control import STOCHASTIC, Bit, random_bits, rounding_mode
from halfsim.core.round import round_pack
from halfsim.explanation.values import Record, decimal, dyadic, hexadecimal, power
from halfsim.explanation.watch import Call, watch
from halfsim.flags import Flags
from halfsim.rounding import Rounding

__all__ = ["Decision", "Exact", "Tiny", "decision", "exact", "rounding_site", "scaled", "tiny"]

_HALF = 1 << 31
# Decimal digits of an irrational root that the core's significand vouches for.
_CUT_DIGITS = 12
# Exponents beyond this are not written out as a fraction.
_WRITTEN = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact(Record):
    """The exact result, as the rounder got it: (-1)**sign * (significand + tail / 2**32) * 2**exponent.

    Parameters
    ----------
    sign, significand, exponent : int
        See above.
    tail : int
        32 more bits below the significand, the last one sticky.
    sticky : bool
        Whether the last bit of `tail` only says that more digits follow.
    value : Fraction or None
        The exact value; None when it is irrational, or its exponent is beyond 2**18 either way.
    hexadecimal, decimal : str
        The value for people; digits that are cut end in ``...``.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> third = hs.explain("divide", np.float16(1), np.float16(3)).exact
    >>> third.value, third.sticky, third.hexadecimal
    (Fraction(1, 3), True, '0x1.555555555555p-2...')
    """

    sign: int
    significand: int
    exponent: int
    tail: int
    sticky: bool
    value: Fraction | None
    hexadecimal: str
    decimal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Record):
    """How the digits beyond the last place were discarded.

    Parameters
    ----------
    last_place : int
        Power of two that the last kept bit weighs.
    kept : int
        Significand before the decision, in units of the last place.
    guard : int
        First discarded bit: worth half an ulp.
    rest : int
        The 31 bits below the guard bit.
    sticky : int
        Whether anything nonzero lies below those: 1 or 0.
    discarded : Fraction or None
        Discarded part in ulps, exactly; None where the exact value is.
    random : int or None
        Random word of a stochastic rounding.
    up : bool
        Whether the magnitude was rounded away from zero.
    reason : str
        The rounding direction, and why it went up or down.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> third = hs.explain("divide", np.float16(1), np.float16(3), rounding="rup").decision
    >>> third.kept, third.last_place, third.discarded, third.up
    (1365, -12, Fraction(1, 3), True)
    """

    last_place: int
    kept: int
    guard: int
    rest: int
    sticky: int
    discarded: Fraction | None
    random: int | None
    up: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiny(Record):
    """Whether the result is tiny, by both definitions of IEEE 754-2019 §7.5.

    Parameters
    ----------
    before_rounding : bool
        Whether the exact value lies below the smallest normal number.
    after_rounding : bool
        Whether it still does once rounded as if the exponent had no limit.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> hs.explain("multiply", np.float16(1 + 2**-10), np.float16(2**-14 - 2**-24)).tiny
    Tiny(before_rounding=True, after_rounding=False)
    """

    before_rounding: bool
    after_rounding: bool


def rounding_site(call: Call) -> Call | None:
    """Find the call that rounds: an operation that rounds to an integer itself, else the rounder; None if none does."""
    for site in call.walk():
        if site.name == "round_pack":
            return site if site.arguments["significand"] else None
        if site.direct("increment"):
            return site
    return None


def exact(site: Call, defined: Fraction | None, irrational: bool = False) -> Exact:
    """Describe the value that a rounding got; `defined` is the value by definition where the core's digits are cut."""
    given = _given(site)
    digits = dyadic(*given)
    value = None if irrational else digits if defined is None else defined
    sticky = irrational or value != digits
    sign, exponent, significand, tail = given
    shown = digits - dyadic(sign, exponent - 32, 1) if sticky else digits
    return Exact(
        sign=sign,
        significand=significand,
        exponent=exponent,
        tail=tail,
        sticky=sticky,
        value=value,
        hexadecimal=hexadecimal(shown, sign) + ("..." if sticky else ""),
        decimal=decimal(shown, sign, places=_CUT_DIGITS) if value is None else decimal(value, sign),
    )


def scaled(sign: int, exponent: int, significand: int) -> Exact:
    """Describe a number times a power of two, however large the power."""
    value = dyadic(sign, exponent, significand) if abs(exponent) <= _WRITTEN else None
    places = significand.bit_length() - 1
    unit = hexadecimal(dyadic(sign, -places, significand)).removesuffix("p+0")
    shown = f"{unit}p{exponent + places:+d}"
    return Exact(
        sign=sign,
        significand=significand,
        exponent=exponent,
        tail=0,
        sticky=False,
        value=value,
        hexadecimal=shown,
        decimal=shown if value is None else decimal(value, sign),
    )


def _given(site: Call) -> tuple[int, int, int, int]:
    """Sign, exponent, significand and tail that a rounding works on."""
    if site.name == "round_pack":
        given = site.arguments
        return given["sign"], given["exponent"], given["significand"], given["tail"]
    # Rounded to an integer: the last place weighs 1.
    cut = site.direct("discard")[-1].arguments
    return site.direct("increment")[-1].arguments["sign"], -cut["shift"], cut["significand"], cut["tail"]


def decision(site: Call, value: Exact) -> Decision | None:
    """Describe the rounding itself, by the last pair of calls that cut and decide.

    None where the core decides without them: a flushed result, and an exponent beyond the largest.
    """
    if site.name == "round_pack" and (site.direct("zero") or not site.direct("increment")):
        return None
    cut = site.direct("discard")[-1]
    chosen = site.direct("increment")[-1]
    kept, fraction, sticky = cut.result
    last_place = _given(site)[1] + cut.arguments["shift"]
    stochastic = isinstance(_rule(chosen.arguments["control"]), str)
    return Decision(
        last_place=last_place,
        kept=kept,
        guard=fraction >> 31,
        rest=fraction & (_HALF - 1),
        sticky=sticky,
        discarded=None if value.value is None else abs(value.value) / power(last_place) - kept,
        random=chosen.arguments["random"] if stochastic else None,
        up=bool(chosen.result),
        reason=_reason(chosen.arguments, bool(chosen.result)),
    )


def _rule(control: int) -> Rounding | str:
    mode = watch(rounding_mode, control).result
    return "Stochastic" if mode == STOCHASTIC else Rounding(mode)


def _reason(given: dict[str, Any], up: bool) -> str:
    """Say in words why the core decided as it did."""
    rule = _rule(given["control"])
    fraction, sticky = given["fraction"], given["sticky"]
    if not fraction and not sticky:
        return "nothing is discarded: exact"
    outcome = "up, away from zero" if up else "down, toward zero"
    size = (fraction > _HALF or (fraction == _HALF and sticky)) - (fraction < _HALF)
    compared = ("less than half an ulp", "exactly half an ulp, a tie", "more than half an ulp")[size + 1]
    if isinstance(rule, str):
        bits = watch(random_bits, given["control"]).result
        cut, drawn = fraction >> (32 - bits), given["random"] >> (32 - bits)
        relation = "reaches" if up else "stays below"
        return f"discarded {cut} + random {drawn} {relation} {1 << bits} (2^{bits}): {outcome}"
    last = f"the last kept bit is {given['odd']}"
    why = {
        Rounding.roundTiesToEven: f"{compared}{f', and {last}' if size == 0 else ''}",
        Rounding.roundTiesToAway: compared,
        Rounding.roundTowardZero: "something is discarded, and the rule always cuts",
        Rounding.roundTowardPositive: f"something is discarded, and the result is {_signed(given['sign'])}",
        Rounding.roundTowardNegative: f"something is discarded, and the result is {_signed(given['sign'])}",
        Rounding.roundToOdd: f"something is discarded, and {last}",
    }[rule]
    return f"{rule.name}: {why}: {outcome}"


def _signed(sign: int) -> str:
    return "negative" if sign else "positive"


def tiny(site: Call) -> Tiny | None:
    """Ask the rounder for both tininess facts: with results flushed, it raises underflow for exactly the tiny ones."""
    if site.name != "round_pack":
        return None
    given = site.arguments
    facts = []
    for before in (1, 0):
        control = given["control"] & ~(1 << Bit.tininessBefore) | before << Bit.tininessBefore | 1 << Bit.flushResults
        arguments = given["sign"], given["exponent"], given["significand"], given["tail"], given["fields"], control
        _, flags = watch(round_pack, *arguments, given["random"]).result
        facts.append(bool(flags & Flags.underflow))
    return Tiny(before_rounding=facts[0], after_rounding=facts[1])
