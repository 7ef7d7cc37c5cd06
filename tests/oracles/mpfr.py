"""MPFR through gmpy2: a witness without SoftFloat's ancestry, in four rounding modes, tininess after rounding.

MPFR reports underflow for exact subnormals as well; masked by inexact it is IEEE 754's flag. NaN operands are not for
this witness: a NaN result comes back as 0x7E00.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import gmpy2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MODES", "operate"]

MODES = {"rne": gmpy2.RoundToNearest, "rtz": gmpy2.RoundToZero, "rup": gmpy2.RoundUp, "rdn": gmpy2.RoundDown}
_NAMES = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "fma": "fma",
    "sqrt": "sqrt",
    "remainder": "remainder",
}


@lru_cache(maxsize=1)
def _every_value() -> list[Any]:
    exact = gmpy2.context(precision=24)
    doubles = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)
    with gmpy2.context(exact):
        return [gmpy2.mpfr(float(v)) for v in doubles]


def _pattern(value: Any) -> int:
    return int(np.float16(float(value)).view(np.uint16)) if not gmpy2.is_nan(value) else 0x7E00


def operate(name: str, *operands: NDArray[Any], mode: str) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Apply a binary16 operation to patterns: (patterns, flags)."""
    every = _every_value()
    context = gmpy2.ieee(16)
    context.round = MODES[mode]
    function = getattr(context, _NAMES[name])
    columns = [[every[int(b)] for b in column] for column in operands]
    bits, flags = [], []
    with gmpy2.context(context):
        for row in zip(*columns, strict=True):
            context.clear_flags()
            bits.append(_pattern(function(*row)))
            flags.append(
                context.inexact
                | (context.underflow and context.inexact) << 1
                | context.overflow << 2
                | context.divzero << 3
                | context.invalid << 4
            )
    return np.array(bits, dtype=np.uint16), np.array(flags, dtype=np.uint8)
