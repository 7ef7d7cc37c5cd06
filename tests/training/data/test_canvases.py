from __future__ import annotations

import hashlib

import numpy as np
import pytest

pytest.importorskip("sklearn")

from halfsim.training.data import canvases, digits, heat_map, patches


def test_patches_are_centred_and_zero_beyond_the_border() -> None:
    images = np.arange(256, dtype=np.float64).reshape(1, 16, 16)
    windows = patches(images, 2).reshape(8, 8, 8, 8)
    for r, c in np.ndindex(8, 8):
        for i, j in np.ndindex(8, 8):
            row, column = 2 * r - 4 + i, 2 * c - 4 + j
            inside = 0 <= row < 16 and 0 <= column < 16
            assert windows[r, c, i, j] == (images[0, row, column] if inside else 0)


def test_every_canvas_has_one_digit_and_its_window_shows_it() -> None:
    data = heat_map(train=30, test=10)
    assert data.train[0].shape == (30, 256, 64)
    for (x, y), known in ((data.train, digits().train), (data.test, digits().test)):
        assert y.sum(axis=(1, 2)).tolist() == [1] * len(y)
        canvas, position, label = np.nonzero(y)
        seen = x[canvas, position].reshape(-1, 8, 8).astype(np.float64)
        candidates = known[0].reshape(-1, 8, 8).astype(np.float64)
        for window, digit in zip(seen, label, strict=True):
            # The digit lies in the window, shifted by at most one pixel, brighter than the noise.
            best = min(
                float(np.abs(window[r : r + 7, c : c + 7] - candidate[:7, :7]).max())
                for candidate in candidates[known[1] == digit]
                for r in (0, 1)
                for c in (0, 1)
            )
            assert best < 0.13


def test_the_windows_of_the_quickstart_are_fixed() -> None:
    data = heat_map()
    content = b"".join(part.tobytes() for half in (data.train, data.test) for part in half)
    assert hashlib.sha256(content).hexdigest()[:16] == "6e58f4e6cc1584dd"


def test_canvases_hold_one_to_three_digits_where_the_map_says() -> None:
    data = canvases(train=120, test=20, noise=0.0)
    shapes = [part.shape for half in (data.train, data.test) for part in half]
    assert shapes == [(120, 32, 32, 1), (120, 16, 16, 10), (20, 32, 32, 1), (20, 16, 16, 10)]
    for (x, y), known in ((data.train, digits().train), (data.test, digits().test)):
        numbers = y.sum(axis=(1, 2, 3))
        assert set(numbers.tolist()) <= {1, 2, 3}
        alone = np.flatnonzero(numbers == 1)
        assert len(alone) > 3
        for i in alone:
            # With one digit and no noise, the canvas is that digit and nothing else.
            ((row, column, label),) = np.argwhere(y[i])
            places = [(r, c) for r in (2 * row - 4, 2 * row - 3) for c in (2 * column - 4, 2 * column - 3)]
            candidates = known[0][known[1] == label].reshape(-1, 8, 8)
            total = x[i].astype(np.float64).sum()
            assert any(
                window.shape == (8, 8)
                and window.astype(np.float64).sum() == total
                and (candidates == window).all(axis=(1, 2)).any()
                for r, c in places
                for window in [x[i, max(r, 0) : r + 8, max(c, 0) : c + 8, 0]]
            )


def test_noise_has_the_standard_deviation_asked_for() -> None:
    clean, noisy = canvases(train=120, test=20, noise=0.0), canvases(train=120, test=20)
    difference = noisy.train[0].astype(np.float64) - clean.train[0].astype(np.float64)
    assert difference.std() == pytest.approx(0.05, rel=0.01)
    assert abs(difference.mean()) < 1e-3
    assert np.abs(difference).max() < 0.05 * 3**0.5 + 2**-10
    assert np.array_equal(noisy.train[1], clean.train[1])


def test_canvases_are_the_same_every_time() -> None:
    first = canvases(train=10, test=5)
    canvases.cache_clear()
    again = canvases(train=10, test=5)
    assert first.train[0].tobytes() == again.train[0].tobytes()
    assert first.test[0].tobytes() == again.test[0].tobytes()
    assert first.sha256 == digits().sha256


@pytest.mark.parametrize("function", [canvases, heat_map])
def test_sizes_of_canvases_are_checked(function: object) -> None:
    with pytest.raises(ValueError, match="size=33 must be at least 8"):
        function(train=1, test=1, size=33)  # type: ignore[operator]
