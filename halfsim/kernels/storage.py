"""How the operands and the results of products are stored."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from halfsim.formats import BINARY16, BINARY32, BINARY64, Format
from halfsim.kernels.encoding import exact_patterns

__all__ = ["Operands", "Storage", "as_patterns", "as_words", "stays_binary32", "storage"]


class Operands(NamedTuple):
    """Matrices of patterns, and which pair of them each product takes."""

    a: NDArray[Any]
    """(matrices, M, K), in the smaller of uint16 and uint32 that holds a pattern; or numbers in float32, where the
    format `stays_binary32`."""
    b: NDArray[Any]
    """(matrices, K, N)."""
    batch_a: NDArray[np.int64]
    batch_b: NDArray[np.int64]


def stays_binary32(fmt: Format) -> bool:
    """Whether factors of a format may stay numbers of binary32: that with fewer digits, in as many bytes, as TF32."""
    if not 16 < fmt.width < 32:
        return False
    alike = (fmt.emin, fmt.emax, fmt.specials) == (BINARY32.emin, BINARY32.emax, BINARY32.specials)
    return alike and not numba.config.DISABLE_JIT


def as_words(operands: Operands, formats: tuple[Format, Format]) -> Operands:
    """Return the operands as vectorised loops take them: words of binary32 where a format `stays_binary32`."""
    if not (stays_binary32(formats[0]) or stays_binary32(formats[1])):
        return operands
    a, b = (_words(x, fmt) if stays_binary32(fmt) else x for x, fmt in zip(operands[:2], formats, strict=True))
    return operands._replace(a=a, b=b)


def _words(x: NDArray[Any], fmt: Format) -> NDArray[Any]:
    return x.view(np.uint32) if x.dtype == np.float32 else x << np.uint32(BINARY32.precision - fmt.precision)


def as_patterns(operands: Operands, formats: tuple[Format, Format]) -> Operands:
    """Return the operands with patterns of their formats for numbers in float32."""
    a, b = (_patterns(x, fmt) if x.dtype == np.float32 else x for x, fmt in zip(operands[:2], formats, strict=True))
    return operands._replace(a=a, b=b)


def _patterns(numbers: NDArray[Any], fmt: Format) -> NDArray[Any]:
    patterns = exact_patterns(numbers.view(np.uint32).reshape(-1), fmt)
    assert patterns is not None
    return patterns.reshape(numbers.shape)


class Storage(NamedTuple):
    """How results are stored: float16 for binary16, else the smaller of float32 and float64 that holds the format."""

    patterns: np.dtype[Any]
    values: np.dtype[Any]
    format: Format


def storage(fmt: Format) -> Storage:
    """Return how results of a format are stored."""
    if fmt == BINARY16:
        return Storage(np.dtype(np.uint16), np.dtype(np.float16), BINARY16)
    if BINARY32.contains(fmt):
        return Storage(np.dtype(np.uint32), np.dtype(np.float32), BINARY32)
    return Storage(np.dtype(np.int64), np.dtype(np.float64), BINARY64)
