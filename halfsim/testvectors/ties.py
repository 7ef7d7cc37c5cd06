"""Results of designs that round to nearest but break ties by another rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.rounding import Rounding
from halfsim.testvectors.patterns import FORMATS, values
from halfsim.testvectors.setting import Results, Setting, Words

__all__ = ["Tie", "tied"]


class Tie(Enum):
    """Which of two equally near numbers is taken."""

    zero = "toward zero"
    positive = "toward positive"
    negative = "toward negative"
    odd = "to odd"


def tied(setting: Setting, operands: Sequence[Words], rule: Tie) -> Results:
    """Round to nearest, and at a tie as the rule says."""
    result, raised = setting.evaluate(operands)
    modes = (Rounding.roundTowardNegative, Rounding.roundTowardPositive)
    (below, below_flags), (above, above_flags) = (replace(setting, rounding=mode).evaluate(operands) for mode in modes)
    low, high = (_numbers(words, setting.subject.result) for words in (below, above))
    exact = _exact(setting, operands)
    with np.errstate(all="ignore"):
        tie = np.isfinite(exact) & (low != high) & (exact - low == high - exact)
    upward = {
        Tie.zero: exact < 0,
        Tie.positive: np.True_,
        Tie.negative: np.False_,
        Tie.odd: (above & above.dtype.type(1)) != 0,
    }[rule]
    taken, flags = np.where(upward, above, below), np.where(upward, above_flags, below_flags)
    return np.where(tie, taken, result), np.where(tie, flags, raised)


def _numbers(words: Words, kind: str) -> NDArray[np.float64]:
    """Return results as binary64 numbers, infinity as the number that would follow the largest."""
    held: NDArray[np.float64] = values(words, kind).astype(np.float64)
    if kind in FORMATS:
        held = np.where(np.isinf(held), np.copysign(2.0 ** (1 + FORMATS[kind].emax), held), held)
    return held


def _exact(setting: Setting, operands: Sequence[Words]) -> NDArray[np.float64]:
    """Return results in binary64 that are midpoints of binary16 only where the exact ones are.

    Sums and products of two numbers are exact. A quotient or a root is no midpoint, nor as near to one as binary64
    rounds, unless it is exact.
    """
    known = setting.subject
    given = [_held(words, kind) for words, kind in zip(operands, known.operands, strict=True)]
    with np.errstate(all="ignore"):
        match known.operation:
            case "fma":
                return _fused(*given)
            case "scaleb":
                return np.ldexp(given[0], given[1].astype(np.int64))
            case "add" | "subtract" | "multiply" | "divide" | "sqrt" as name:
                found: NDArray[np.float64] = getattr(np, name)(*given)
                return found
    # Conversions and integral values: what is rounded is the operand.
    return given[0]


def _held(words: Words, kind: str) -> NDArray[np.float64]:
    held: NDArray[Any] = values(words, kind)
    return held.astype(np.float64)


def _fused(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of a product, not a number where binary64 does not hold it: it is no midpoint then."""
    product = a * b
    total = product + c
    back = total - product
    lost = (product - (total - back)) + (c - back)
    return np.where(lost == 0, total, np.nan)
