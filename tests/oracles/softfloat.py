"""Berkeley SoftFloat [@softfloat3e] through softfloatpy: vectors of bit patterns in, bit patterns and flags out.

Rounding mode, tininess and flags are process-wide state there, so this module is not for threads; each call sets all
three and nothing is left over. Modes SoftFloat's binding accepts but does not implement are refused here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import softfloatpy as sf
from numpy.typing import NDArray

__all__ = ["MODES", "call", "operate"]

MODES = {"rne": 0, "rtz": 1, "rdn": 2, "rup": 3, "rna": 4}
_TININESS = {"after": sf.TininessMode.AFTER_ROUNDING, "before": sf.TininessMode.BEFORE_ROUNDING}
_TYPES = {
    "f16": (sf.Float16, 2),
    "f32": (sf.Float32, 4),
    "f64": (sf.Float64, 8),
    "i32": (sf.Int32, 4),
    "ui32": (sf.UInt32, 4),
    "i64": (sf.Int64, 8),
    "ui64": (sf.UInt64, 8),
    "bf16": (sf.BFloat16, 2),
}
_NO_FLAGS = sf.ExceptionFlag(0)


def _make(kind: str) -> Callable[[int], Any]:
    cls, size = _TYPES[kind]
    make = cls.from_bytes

    def from_bits(bits: int) -> Any:
        return make(bits.to_bytes(size, "big"))

    return from_bits


@lru_cache(maxsize=1)
def _every_f16() -> list[Any]:
    make = _make("f16")
    return [make(bits) for bits in range(65536)]


def _objects(kind: str, bits: NDArray[Any]) -> list[Any]:
    """Values of one operand; signed integers come as their two's complement patterns."""
    patterns = [int(b) for b in np.asarray(bits).ravel()]
    if kind == "f16":
        every = _every_f16()
        return [every[b] for b in patterns]
    make, size = _make(kind), _TYPES[kind][1]
    return [make(b & (1 << 8 * size) - 1) for b in patterns]


def call(
    function: str, *operands: NDArray[Any], mode: str = "rne", tininess: str = "after", exact: bool | None = None
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Apply ``softfloatpy.<function>`` element by element to bit patterns: (patterns or truth values, flags).

    `exact` is passed to the functions that round to an integer.
    """
    operate_one = getattr(sf, function)
    source, _, rest = function.partition("_")
    columns = [_objects(source, column) for column in operands]
    rounding = sf.RoundingMode(MODES[mode])
    options = () if exact is None else (rounding, exact)
    sf.set_rounding_mode(rounding)
    sf.set_tininess_mode(_TININESS[tininess])
    clear, raised = sf.set_exception_flags, sf.get_exception_flags
    truth = rest.startswith(("eq", "le", "lt", "is_"))
    values, flags = [], []
    try:
        for row in zip(*columns, strict=True):
            clear(_NO_FLAGS)
            result = operate_one(*row, *options)
            flags.append(int(raised()))
            values.append(int(result) if truth else int.from_bytes(result.to_bytes(), "big"))
    finally:
        sf.set_rounding_mode(sf.RoundingMode.NEAR_EVEN)
        sf.set_tininess_mode(_TININESS["after"])
        clear(_NO_FLAGS)
    return np.array(values, dtype=np.uint64), np.array(flags, dtype=np.uint8)


_BINARY16 = {
    "add": "f16_add",
    "subtract": "f16_sub",
    "multiply": "f16_mul",
    "divide": "f16_div",
    "fma": "f16_mul_add",
    "remainder": "f16_rem",
    "sqrt": "f16_sqrt",
}


def operate(
    name: str, *operands: NDArray[Any], mode: str = "rne", tininess: str = "after"
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Apply a binary16 operation of the package's name; NaN results are RISC-V's 0x7E00.

    Round-to-odd, which the binding lacks, is the truncated result with its last bit set when inexact; an overflowing
    truncation is already the largest finite number, whose last bit is set. Neither mode carries a result below the
    smallest normal number up to it, so both see the same tininess.
    """
    if mode == "odd":
        bits, flags = call(_BINARY16[name], *operands, mode="rtz", tininess=tininess)
        return (bits | (flags & 1)).astype(np.uint16), flags
    bits, flags = call(_BINARY16[name], *operands, mode=mode, tininess=tininess)
    return bits.astype(np.uint16), flags
