"""Bars: the digits of exact numbers, aligned by what they weigh, and which of them are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

from halfsim.explanation.dot_steps import Block, Step
from halfsim.explanation.values import compact, short

__all__ = ["Bar", "Window", "block_bars", "step_bar"]

_TICKS = 4
# Zeros in a row from which on they share a bar.
_ZEROS = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """One number, and the power of two below which its digits are cut.

    Parameters
    ----------
    name : str
        What it is.
    value : Fraction or None
        The number, a binary fraction; None for infinities and NaNs.
    cut : int or None
        Weight of the last digit that is kept; None where nothing is cut.
    lost : Fraction or None
        The number minus what it becomes.
    shown : str
        The number in words, where it has no value.
    end : int or None
        Weight of the last digit of the significand, which may be a 0; by default that of the last 1.
    """

    name: str
    value: Fraction | None
    cut: int | None
    lost: Fraction | None
    shown: str = ""
    end: int | None = None

    @property
    def digits(self) -> tuple[str, int]:
        """Binary digits of the significand, and the weight of the first; none for zero."""
        if not self.value:
            return "", 0
        written = f"{abs(self.value.numerator):b}"
        top = len(written) - self.value.denominator.bit_length()
        last_one = written.rstrip("0")
        return last_one if self.end is None else last_one.ljust(top - self.end + 1, "0"), top


class Window:
    """The weights that all bars of a page share, from the highest digit to the lowest."""

    def __init__(self, bars: Iterable[Bar]) -> None:
        spans = [(top, top - len(digits) + 1) for digits, top in (bar.digits for bar in bars) if digits]
        self.high = max((top for top, _ in spans), default=0)
        self.low = min((low for _, low in spans), default=0)

    def x(self, weight: int) -> float:
        """Left edge of the cell of a digit, in per cent."""
        return round((self.high - weight) * 100 / (self.high - self.low + 1), 3)

    def axis(self) -> list[dict[str, Any]]:
        """Some powers of two along the way."""
        step = max(1, -(-(self.high - self.low + 1) // _TICKS))
        return [{"x": self.x(weight), "label": f"2^{weight}"} for weight in range(self.high, self.low - 1, -step)]

    def drawn(self, bar: Bar) -> dict[str, Any]:
        """Return a bar as runs of equal digits, kept or cut, and where it is cut."""
        digits, top = bar.digits
        runs = []
        for kind, cells in groupby(range(len(digits)), key=lambda place: _kind(digits, place, top, bar.cut)):
            places = list(cells)
            left, right = self.x(top - places[0]), self.x(top - places[-1] - 1)
            runs.append({"x": left, "width": round(right - left, 3), "kind": kind})
        inside = bar.cut is not None and self.low <= bar.cut <= self.high + 1
        return {
            "name": bar.name,
            "value": bar.shown if bar.value is None else compact(bar.value),
            "lost": short(bar.lost) if bar.lost else "",
            "runs": runs,
            "cut": self.x(bar.cut - 1) if inside and bar.cut is not None else None,
        }


def _kind(digits: str, place: int, top: int, cut: int | None) -> str:
    """What a digit is: a 1 or a 0, kept or lost, or one of the zeros at the end, which mean nothing."""
    if place >= len(digits.rstrip("0")):
        return "end"
    what = "one" if digits[place] == "1" else "zero"
    return f"{what} {'lost' if cut is not None and top - place < cut else 'kept'}"


def block_bars(block: Block, *, aligned: bool) -> Sequence[Bar]:
    """Terms and stages of a block, and the sum that it rounds; terms are cut where they are aligned."""
    cut, special = block.unit if aligned else None, "infinity or NaN"
    bars = [Bar(term.name, term.value, cut, term.lost, special, term.exponent) for term in block.terms]
    bars += [Bar(stage.name, stage.value, stage.unit, stage.lost, special) for stage in block.stages]
    lost = None if block.rounding_error is None else -block.rounding_error
    total = None if block.exact is None else block.exact.value
    cut = None if block.decision is None else block.decision.last_place
    return [*_merged(bars), Bar("sum", total, cut, lost, block.case)]


def _merged(bars: Sequence[Bar]) -> Iterable[Bar]:
    """Give many zeros in a row one bar.

    Yields
    ------
    Bar
        In the same order.
    """
    for zero, row in groupby(bars, key=lambda bar: bar.value == 0 and not bar.lost):
        alike = list(row)
        if zero and len(alike) >= _ZEROS:
            yield Bar(f"{alike[0].name} to {alike[-1].name}", Fraction(0), alike[0].cut, None)
        else:
            yield from alike


def step_bar(step: Step) -> Bar:
    """The exact result of a rounded operation, cut where it is rounded."""
    value = None if step.exact is None else step.exact.value
    cut = None if step.decision is None else step.decision.last_place
    lost = None if step.rounding_error is None else -step.rounding_error
    name = "sum" if step.operation == "finish_exact" else f"{step.number} {step.operation}"
    return Bar(name, value, cut, lost, step.result.decimal)
