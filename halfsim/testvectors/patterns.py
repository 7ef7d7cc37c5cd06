"""Bit patterns of every type that vectors have, to and from the arrays that the operations take."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E4M3, E5M2, TF32, Format

__all__ = ["FORMATS", "patterns", "values", "word_of"]

FORMATS: dict[str, Format] = {
    "f16": BINARY16,
    "f32": BINARY32,
    "f64": BINARY64,
    "bf16": BFLOAT16,
    "tf32": TF32,
    "e5m2": E5M2,
    "e4m3": E4M3,
}
_NATIVE = {"f16": np.float16, "f32": np.float32, "f64": np.float64}
# Formats that are the top bits of a native one: that one, and how many bits are missing.
_TOPS = {"bf16": ("f32", 16), "tf32": ("f32", 13), "e5m2": ("f16", 8)}
_E4M3_NAN = 0x7F


def word_of(kind: str) -> np.dtype[Any]:
    """Return the dtype of a type's words: unsigned for formats and truth values, as named for integers."""
    if kind in FORMATS:
        width = FORMATS[kind].width
        return np.dtype(f"u{1 if width <= 8 else 2 if width <= 16 else 4 if width <= 32 else 8}")
    if kind == "bool":
        return np.dtype(np.uint8)
    unsigned = kind.startswith("u")
    return np.dtype(f"{'u' if unsigned else 'i'}{int(kind.lstrip('ui')) // 8}")


def values(words: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return patterns as an array that the operations take: native floats that hold them, or integers."""
    word = word_of(kind)
    if kind in _NATIVE:
        return words.astype(word).view(_NATIVE[kind])
    if kind in _TOPS:
        native, missing = _TOPS[kind]
        wide: NDArray[Any] = words.astype(word_of(native)) << word_of(native).type(missing)
        return wide.view(_NATIVE[native])
    if kind == "e4m3":
        return _e4m3()[words.astype(np.uint8)]
    return words.astype(f"u{word.itemsize}").view(word)


def patterns(held: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return the patterns of what an operation gave, numbers of the type, in unsigned words."""
    if kind in _NATIVE:
        return held.view(f"u{held.itemsize}")
    if kind in _TOPS:
        native, missing = _TOPS[kind]
        # binary16 holds the numbers of E5M2, and the top bits of its NaNs.
        exact = hs.convert(held, BINARY16) if native == "f16" else held
        top: NDArray[Any] = exact.view(word_of(native)) >> word_of(native).type(missing)
        return top.astype(word_of(kind))
    if kind == "e4m3":
        # The patterns of magnitudes are in the order of their values.
        magnitude = np.searchsorted(_e4m3()[:_E4M3_NAN], np.abs(held))
        return (np.where(np.isnan(held), _E4M3_NAN, magnitude) | np.where(np.signbit(held), 0x80, 0)).astype(np.uint8)
    return held.astype(word_of(kind)).view(f"u{word_of(kind).itemsize}")


@lru_cache(maxsize=1)
def _e4m3() -> NDArray[np.float32]:
    """Return the values of all patterns."""
    magnitude = np.arange(128)
    exponent, fraction = np.maximum(magnitude >> 3, 1), (magnitude & 7) + 8 * (magnitude > 7)
    positive = np.ldexp(fraction.astype(np.float32), exponent - E4M3.bias - 3)
    positive[_E4M3_NAN] = np.nan
    return np.concatenate([positive, -positive])
