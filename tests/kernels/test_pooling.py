"""Pooling against NumPy's own sort of the windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from halfsim.kernels.pooling import pick, spread

Array = np.ndarray[Any, Any]


def windows(x: Array, size: int) -> Array:
    """(planes, oh, ow, size * size)"""
    planes, height, width = x.shape
    oh, ow = height // size, width // size
    inner = x[:, : oh * size, : ow * size].reshape(planes, oh, size, ow, size)
    return inner.transpose(0, 1, 3, 2, 4).reshape(planes, oh, ow, size * size)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_first_largest_of_each_window_is_picked(size: int, dtype: Any) -> None:
    rng = np.random.default_rng(size)
    x = rng.choice(np.array([-np.inf, -65504, -1, -(2.0**-24), -0.0, 0.0, 2.0**-24, 1, np.inf]), (4, 13, 31)).astype(
        dtype
    )
    x = np.where(rng.random(x.shape) < 0.5, x, rng.standard_normal(x.shape).astype(dtype))
    words, magnitude, infinity = (
        (np.int16, 0x7FFF, 0x7C00) if dtype == np.float16 else (np.int32, 0x7FFFFFFF, 0x7F800000)
    )
    shape = windows(x, size).shape[:3]
    y, chosen = np.empty(shape, dtype), np.empty(shape, np.uint8)
    pick(x.view(words), size, magnitude, infinity, y.view(words), chosen)
    # +0 is above -0: a key of (number, sign bit clear).
    seen = windows(x, size)
    for index in np.ndindex(shape):
        expected = max(range(size * size), key=lambda k: (seen[index][k], not np.signbit(seen[index][k]), -k))
        assert chosen[index] == expected
        assert y.view(words)[index] == seen.view(words)[index][expected]


def test_nans_of_either_sign_are_largest() -> None:
    x = np.array([[[0x7C00, -0x0200], [0x7E00, 0x0000]]], np.int16)  # inf, -NaN, NaN, 0
    y, chosen = np.empty((1, 1, 1), np.int16), np.empty((1, 1, 1), np.uint8)
    pick(x, 2, 0x7FFF, 0x7C00, y, chosen)
    assert (y.item(), chosen.item()) == (-0x0200, 1)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_gradient_goes_back_where_the_largest_lay(size: int) -> None:
    rng = np.random.default_rng(size)
    shape = (3, 4, 5)
    g, chosen = rng.standard_normal(shape), rng.integers(0, size * size, shape).astype(np.uint8)
    dx = np.zeros((3, 4 * size + size - 1, 5 * size + size - 1))
    spread(g, chosen, size, dx)
    assert np.array_equal(np.take_along_axis(windows(dx, size), chosen[..., None], 3)[..., 0], g)
    assert np.count_nonzero(dx) == g.size
