"""Selections among float16 or float32 numbers, on their patterns: they round nothing, and integers are quick."""

from __future__ import annotations

from typing import Any

import numpy as np

from halfsim.training.functions import Array

__all__ = ["is_positive", "positive_part", "selected"]


def _patterns(x: Array) -> Any:
    return x.view(np.uint16 if x.dtype == np.float16 else np.uint32)


def selected(x: Array, mask: Array) -> Array:
    """Return numbers where a mask holds, else +0: by a multiplication, since `numpy.where` guesses for each of them."""
    return np.asarray(_patterns(x) * mask).view(x.dtype)


def positive_part(x: Array) -> Array:
    """Return what `halfsim.maximum` of x and +0 is, but signaling NaNs as they are."""
    patterns = _patterns(x)
    negative, infinity = (0x8000, 0x7C00) if x.dtype == np.float16 else (0x80000000, 0x7F800000)
    return selected(x, patterns - patterns.dtype.type(negative) > patterns.dtype.type(infinity))


def is_positive(x: Array) -> Array:
    """Return where numbers that are never -0 or negative are above zero; a NaN is not."""
    # 0 < pattern <= that of infinity.
    return np.asarray(_patterns(x) - 1 < (0x7C00 if x.dtype == np.float16 else 0x7F800000))
