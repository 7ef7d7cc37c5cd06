"""How a wrong row differs from the right one, whatever the reason, for many rows at a time."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from halfsim.core.fields import Layout, layout
from halfsim.flags import Flags
from halfsim.formats import Specials
from halfsim.testvectors.patterns import FORMATS
from halfsim.testvectors.setting import Results, Words

__all__ = ["Difference", "difference_name", "differences", "kind_of"]


class Difference(Enum):
    """How a row differs."""

    value = "value"
    flags = "flags"
    nan = "nan"
    zero = "zero"
    mask = "mask"


_VALUES = (
    "wrong truth value",
    "wrong integer",
    "a NaN instead of a number",
    "a number instead of a NaN",
    "wrong sign",
    "an infinity instead of a number",
    "a number instead of an infinity",
    "one ulp off",
    "another number",
)
_NAN, _ZERO = len(_VALUES), len(_VALUES) + 1
# Where the result is right: flags missing, times 32, and flags raised wrongly; of no flag, the row's mask is wrong.
_MASK = 16
_FLAGS = 32


def differences(result: str, got: Results, wanted: Results, counted: Words) -> NDArray[np.int64]:
    """Return what differs in each row, as a number that `kind_of` and `difference_name` tell.

    Parameters
    ----------
    result : str
        Type of the results.
    got, wanted : tuple of (patterns, flags)
        What the file has, and what is right.
    counted : unsigned array
        Bits of each result that count.
    """
    (z, flags), (right, raised) = got, wanted
    missing, extra = (raised & ~flags).astype(np.int64), (flags & ~raised).astype(np.int64)
    alike = _MASK + np.where((missing | extra) == 0, 0, missing * _FLAGS + extra)
    if result not in FORMATS:
        other = np.full(len(z), 0 if result == "bool" else 1, np.int64)
    else:
        other = _numbers(layout(FORMATS[result]), z.astype(np.uint64), right.astype(np.uint64))
    return np.where(((z ^ right) & counted) == 0, alike, other)


def _numbers(fields: Layout, got: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    sign = np.uint64(fields.sign_bit & ((1 << 64) - 1))
    magnitude = np.uint64((1 << fields.sign_shift) - 1)
    x, y = got & magnitude, wanted & magnitude
    nan, other_nan = _is_nan(x, fields), _is_nan(y, fields)
    infinite, other_infinite = x == fields.infinity, y == fields.infinity
    opposite = (got ^ wanted) == sign
    apart = np.where(x > y, x - y, y - x)
    cases = [
        (nan & other_nan, _NAN),
        (opposite & (x == 0), _ZERO),
        (nan, 2),
        (other_nan, 3),
        (opposite, 4),
        (infinite & ~other_infinite, 5),
        (other_infinite & ~infinite, 6),
        (((got ^ wanted) & sign == 0) & (apart == 1), 7),
    ]
    return np.select([case for case, _ in cases], [code for _, code in cases], 8).astype(np.int64)


def _is_nan(magnitude: NDArray[np.uint64], fields: Layout) -> NDArray[np.bool_]:
    ieee = fields.specials == Specials.ieee
    found: NDArray[np.bool_] = (magnitude > fields.infinity) if ieee else (magnitude == fields.infinity)
    return found & (fields.specials != Specials.none)


def kind_of(code: int) -> Difference:
    """Return the kind of a difference."""
    if code > _MASK:
        return Difference.flags
    return {_NAN: Difference.nan, _ZERO: Difference.zero, _MASK: Difference.mask}.get(code, Difference.value)


def difference_name(code: int) -> str:
    """Return a difference in words."""
    if code < _NAN:
        return _VALUES[code]
    if code <= _MASK:
        return {_NAN: "wrong NaN", _ZERO: "wrong sign of zero", _MASK: "wrong mask"}[code]
    missing, extra = (Flags(bits) for bits in divmod(code - _MASK, _FLAGS))
    parts = [f"{_names(missing)} missing" if missing else "", f"{_names(extra)} raised wrongly" if extra else ""]
    return "flag " + ", ".join(part for part in parts if part)


def _names(flags: Flags) -> str:
    return " and ".join(str(flag.name) for flag in flags)
