"""Copies of transposed matrices hold what NumPy's hold, whatever the shape."""

from __future__ import annotations

import numpy as np
import pytest

import halfsim as hs
from halfsim.arrays import contiguous
from halfsim.kernels import transposition

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("dtype", [np.uint16, np.float16, np.uint32, np.float32])
@pytest.mark.parametrize(
    "shape", [(64, 64), (1, 4096), (4096, 1), (65, 66), (71, 63), (8, 1024), (1000, 9), (3, 40, 57), (2, 2, 33, 35)]
)
def test_a_transposed_copy_is_numpys(shape: tuple[int, ...], dtype: type) -> None:
    patterns = RANDOM.integers(0, 2 ** (8 * np.dtype(dtype).itemsize), shape, dtype=np.uint64)
    x = patterns.astype(f"u{np.dtype(dtype).itemsize}").view(dtype).swapaxes(-1, -2)
    copy = transposition.transposed(x)
    assert copy is not None
    assert copy.flags.c_contiguous
    assert copy.dtype == x.dtype
    assert copy.shape == x.shape
    assert copy.tobytes() == x.tobytes()  # NaNs too


@pytest.mark.parametrize(
    "x",
    [
        np.ones((3, 5), np.uint16).T,  # NumPy is as fast
        np.ones((128, 128), np.float64).T,
        np.ones((128, 128), ">u2").T,
        np.ones((128, 256), np.uint16)[:, ::2],
        np.ones((128, 256), np.uint16)[:, :128].T,
        np.ones((20, 30, 40), np.uint16).transpose(2, 1, 0),
    ],
    ids=["small", "wide", "foreign order", "strided", "part", "three axes"],
)
def test_others_are_left_to_numpy(x: np.ndarray) -> None:
    assert transposition.transposed(x) is None
    assert contiguous(x).flags.carray
    assert np.array_equal(contiguous(x), x)


def test_products_of_transposed_operands_are_the_same() -> None:
    a, b = (RANDOM.standard_normal(shape).astype(np.float16) for shape in ((70, 90), (90, 75)))
    turned = np.asfortranarray(b)
    assert not turned.flags.c_contiguous
    for accumulator in (hs.FP32, hs.FP16, "h100:f32"):
        assert np.array_equal(
            hs.matmul(a, turned, accumulator=accumulator), hs.matmul(a, b, accumulator=accumulator), equal_nan=True
        )
