"""The number line: where the results of the seven roundings lie beside the exact value, in per cent of its length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from halfsim.arrays import from_bits
from halfsim.explanation.elementwise import Explanation
from halfsim.explanation.steps import Exact
from halfsim.explanation.text import cells_of
from halfsim.explanation.values import Datum, datum, dyadic, power
from halfsim.formats import BINARY16
from halfsim.operations import nextdown, nextup

__all__ = ["number_line"]

# An infinity stands where the next number would be, were the exponent unbounded.
_BEYOND = power(BINARY16.emax + 1)
_LARGEST = Fraction(BINARY16.largest)
_FAR = 4096
_LEFT, _LENGTH = 12, 76


def number_line(steps: Sequence[Explanation]) -> dict[str, Any] | None:
    """Place the results of one operation under several roundings on a line.

    Parameters
    ----------
    steps : sequence of Explanation
        One for each rounding.

    Returns
    -------
    dict or None
        Ticks, each with the positions in `steps` of the roundings that end there; where the exact value lies, and the
        tie; whether the line is to scale. None where a result is no binary16 number, or infinite for every rounding.
    """
    results = [step.result for step in steps]
    if any(result.format != BINARY16.name or result.kind.endswith("NaN") for result in results):
        return None
    if all(result.value is None for result in results) and steps[0].exact is None:
        return None
    places = {_place(result): result for result in results}
    exact = None if steps[0].exact is None else _value(steps[0].exact)
    for result in list(places.values()) if len(places) == 1 else ():
        places = {_place(around): around for around in (_neighbour(result, -1), _neighbour(result, 1))} | places
    # What is far beyond the largest number is drawn between it and infinity, and said to be.
    to_scale = exact is None or abs(exact) <= _BEYOND
    drawn = exact
    if exact is not None and not to_scale:
        drawn = (_BEYOND + _LARGEST) / 2 * (1 if exact > 0 else -1)
    ends = [*places, *([] if drawn is None else [drawn])]
    low, high = min(ends), max(ends)

    def position(place: Fraction) -> float:
        return round(_LEFT + float((place - low) / (high - low)) * _LENGTH, 3)

    spelled = _spelling([*places.values(), *results])
    return {
        "ticks": [_tick(place, places[place], results, position(place), spelled) for place in sorted(places)],
        "exact": None if drawn is None else _mark(position(drawn)),
        "tie": _tie(exact, places, position) if to_scale else None,
        "to_scale": to_scale,
    }


def _value(exact: Exact) -> Fraction:
    """Exact value, or of an irrational one the digits that the rounder got.

    What is far beyond the line is as far as need be: the number itself may have 2**63 digits.
    """
    sign = -1 if exact.sign else 1
    if exact.value is None and exact.exponent > _FAR:
        return sign * 2 * _BEYOND
    if exact.value is None and exact.exponent < -_FAR:
        return sign * power(-_FAR)
    return dyadic(exact.sign, exact.exponent, exact.significand, exact.tail) if exact.value is None else exact.value


def _place(result: Datum) -> Fraction:
    if result.value is not None:
        return result.value
    return -_BEYOND if result.sign else _BEYOND


def _neighbour(result: Datum, direction: int) -> Datum:
    step = nextup if direction > 0 else nextdown
    return datum("", int(np.asarray(step(from_bits(result.bits))).view(np.uint16)), BINARY16)


def _mark(position: float) -> dict[str, Any]:
    anchor = "start" if position < 25 else "end" if position > 75 else "middle"
    return {"x": position, "anchor": anchor}


def _spelling(shown: Sequence[Datum]) -> Callable[[Datum], str]:
    """Return how numbers are written: all in hexadecimal where one of them would be, so that they can be compared."""
    hexadecimal = any("0x" in cells_of(one)[1] for one in shown)
    return lambda one: one.hexadecimal if hexadecimal and one.value else cells_of(one)[1]


def _tick(
    place: Fraction, shown: Datum, results: Sequence[Datum], position: float, spelled: Callable[[Datum], str]
) -> dict[str, Any]:
    ending = [number for number, result in enumerate(results) if _place(result) == place]
    # Zeros of both signs share a place.
    patterns = dict.fromkeys([results[number].pattern for number in ending] or [shown.pattern])
    labels = dict.fromkeys(spelled(result) for result in [results[number] for number in ending] or [shown])
    return _mark(position) | {"label": " and ".join(labels), "pattern": " and ".join(patterns), "roundings": ending}


def _tie(exact: Fraction | None, places: dict[Fraction, Datum], position: Any) -> dict[str, Any] | None:
    """Place the tie: half way between two neighbours, if the exact value lies between such."""
    if exact is None or exact in places:
        return None
    below = max((place for place in places if place < exact), default=None)
    above = min((place for place in places if place > exact), default=None)
    if below is None or above is None or _place(_neighbour(places[below], 1)) != above:
        return None
    return _mark(position((below + above) / 2))
