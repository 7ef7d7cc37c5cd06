"""apytypes: an independent witness for values in all six deterministic modes; no flags.

It encodes the NaN it makes as a signaling one, so NaN results are all given as 0x7E00.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from apytypes import APyFloatArray, APyFloatQuantizationContext, QuantizationMode
from numpy.typing import NDArray

__all__ = ["MODES", "cast", "operate"]

MODES = {
    "rne": QuantizationMode.TIES_EVEN,
    "rna": QuantizationMode.TIES_AWAY,
    "rtz": QuantizationMode.TO_ZERO,
    "rup": QuantizationMode.TO_POS,
    "rdn": QuantizationMode.TO_NEG,
    "odd": QuantizationMode.JAM_UNBIASED,
}


def _canonical(patterns: NDArray[Any]) -> NDArray[np.uint16]:
    bits = np.asarray(patterns).astype(np.uint16)
    return np.where((bits & 0x7FFF) > 0x7C00, np.uint16(0x7E00), bits)


def operate(name: str, a: NDArray[Any], b: NDArray[Any], mode: str) -> NDArray[np.uint16]:
    """Apply add, subtract, multiply or divide to binary16 patterns."""
    x = APyFloatArray.from_bits(np.asarray(a).astype(np.uint64), 5, 10)
    y = APyFloatArray.from_bits(np.asarray(b).astype(np.uint64), 5, 10)
    with APyFloatQuantizationContext(MODES[mode]):
        z = {
            "add": lambda: x + y,
            "subtract": lambda: x - y,
            "multiply": lambda: x * y,
            "divide": lambda: x / y,
        }[name]()
    return _canonical(z.to_bits(numpy=True))


def cast(values: NDArray[np.float64], exponent_bits: int, fraction_bits: int, mode: str) -> NDArray[np.uint64]:
    """Convert binary64 values to an IEEE-like format: patterns."""
    wide = APyFloatArray.from_float(values, exp_bits=11, man_bits=52)
    narrow = wide.cast(exponent_bits, fraction_bits, quantization=MODES[mode])
    return np.asarray(narrow.to_bits(numpy=True)).astype(np.uint64)
