"""Digits at random places on canvases, with the map of where which digit has its centre."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.data.dataset import Dataset
from halfsim.training.data.digits import digits
from halfsim.training.words import Words

__all__ = ["canvases", "heat_map", "patches"]

_ONE_DIGIT, _SEVERAL = 5, 6
_MOST = 3


@lru_cache(maxsize=2)
def heat_map(train: int = 1536, test: int = 256, size: int = 32, stride: int = 2) -> Dataset:
    """Return windows of canvases with one digit each, and the map of where which digit has its centre.

    A canvas is `size` × `size`, noise uniform in ±1/16, with one 8 × 8 digit at a random place (the brighter pixel
    wins); training and test canvases hold different digits. Inputs are its 8 × 8 windows at every `stride` pixels,
    (n, positions, 64); targets are bool (n, positions, 10), true at the centre of the digit for its class alone.

    Parameters
    ----------
    train, test : int
        Canvases for training and for the test.
    size : int
        Side of a canvas in pixels, 8 or more and a multiple of `stride`.
    stride : int
        Pixels from one window to the next.

    Returns
    -------
    Dataset
        Inputs float16, targets bool. The same bits at every call.

    Raises
    ------
    ModuleNotFoundError
        Without scikit-learn (extra ``studies``).
    ValueError
        If `size` is less than 8 or no multiple of `stride`.

    Examples
    --------
    >>> from halfsim.training.data import heat_map
    >>> inputs, targets = heat_map(train=8, test=2).train
    >>> inputs.shape, targets.shape
    ((8, 256, 64), (8, 256, 10))
    """
    _check("heat_map", size, stride)
    source = digits()
    halves: list[tuple[Array, Array]] = []
    for part, count in ((source.train, train), (source.test, test)):
        random = Words(_ONE_DIGIT, len(halves))
        canvas = (random.uniform(count * size * size).reshape(count, size, size) - 0.5) / 8
        target = np.zeros((count, (size // stride) ** 2, 10), np.bool_)
        which = random.integers(len(part[1]), count)
        corner = random.integers(size - 7, 2 * count).reshape(count, 2)
        for i, (digit, (row, column)) in enumerate(zip(which, corner, strict=True)):
            window = canvas[i, row : row + 8, column : column + 8]
            np.maximum(window, part[0][digit].reshape(8, 8).astype(np.float64), out=window)
            target[i, (row + 4) // stride * (size // stride) + (column + 4) // stride, part[1][digit]] = True
        halves.append((patches(canvas.astype(np.float16), stride), target))
    return Dataset("digits on canvases", source.file, source.sha256, halves[0], halves[1])


@lru_cache(maxsize=2)
def canvases(train: int = 2000, test: int = 300, size: int = 32, stride: int = 2, noise: float = 0.05) -> Dataset:
    """Return canvases with one to three digits, and the map of where which digit has its centre.

    A canvas is `size` × `size`: zero, one to three 8 × 8 digits at random places (they may overlap; the brighter pixel
    wins), and uniform noise with standard deviation `noise` added to all pixels. Training and test canvases hold
    different digits. Inputs are (n, size, size, 1), rounded to binary16 once; targets are bool
    (n, size / stride, size / stride, 10), true where the centre of a digit is, for its class.

    Parameters
    ----------
    train, test : int
        How many canvases.
    size, stride : int
        Pixels of a side, and pixels between two positions of the map.
    noise : float
        Standard deviation.

    Raises
    ------
    ModuleNotFoundError
        Without scikit-learn (extra ``studies``).
    ValueError
        If `size` is less than 8 or no multiple of `stride`.

    Examples
    --------
    >>> from halfsim.training.data import canvases
    >>> data = canvases(train=3, test=2)
    >>> data.train[0].shape, data.train[1].shape
    ((3, 32, 32, 1), (3, 16, 16, 10))
    """
    _check("canvases", size, stride)
    source = digits()
    halves: list[tuple[Array, Array]] = []
    for part, count in ((source.train, train), (source.test, test)):
        random = Words(_SEVERAL, len(halves))
        canvas = np.zeros((count, size, size))
        target = np.zeros((count, size // stride, size // stride, 10), np.bool_)
        number = 1 + random.integers(_MOST, count)
        which = random.integers(len(part[1]), _MOST * count).reshape(count, _MOST)
        corner = random.integers(size - 7, 2 * _MOST * count).reshape(count, _MOST, 2)
        for i in range(count):
            for digit, (row, column) in zip(which[i, : number[i]], corner[i], strict=False):
                window = canvas[i, row : row + 8, column : column + 8]
                np.maximum(window, part[0][digit].reshape(8, 8).astype(np.float64), out=window)
                target[i, (row + 4) // stride, (column + 4) // stride, part[1][digit]] = True
        # Uniform in ±a has the variance a² / 3.
        canvas += noise * math.sqrt(3.0) * (2.0 * random.uniform(canvas.size).reshape(canvas.shape) - 1.0)
        halves.append((canvas.astype(np.float16)[..., None], target))
    return Dataset("canvases of 1 to 3 digits", source.file, source.sha256, halves[0], halves[1])


def patches(images: Array, stride: int) -> Array:
    """Return the 8 × 8 windows of square images, zero beyond the border: (n, positions, 64).

    The window of position (r, c) begins at pixel (stride r - 4, stride c - 4), so that it is centred there.

    Parameters
    ----------
    images : array
        (n, size, size), of any dtype.
    stride : int
        Pixels from one window to the next.

    Returns
    -------
    array
        (n, ⌈size / stride⌉², 64), row by row, of the dtype of the images.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.training.data import patches
    >>> patches(np.ones((1, 8, 8), np.float16), 4).shape
    (1, 4, 64)
    """
    count, size, _ = images.shape
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), (1, 2))[:, :size:stride, :size:stride]
    return np.ascontiguousarray(windows).reshape(count, (size // stride) ** 2, 64)


def _check(function: str, size: int, stride: int) -> None:
    if size < 8 or stride < 1 or size % stride:
        raise ValueError(
            f"{function}: size={size} must be at least 8, the side of a digit, and a multiple of {stride=}"
        )
