"""Real data that needs no download: scikit-learn's handwritten digits, alone and pasted on canvases.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" [@alpaydin1998].
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.words import Words

__all__ = ["Dataset", "digits", "heat_map", "patches"]

_TRAIN = 1400
_SHUFFLE, _CANVAS = 1234, 5


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Inputs (float16) and targets, for training and for testing.

    Parameters
    ----------
    name, file, sha256 : str
        What it is, the file it was read from, and that file's digest.
    train, test : (array, array)
        Inputs and targets.
    """

    name: str
    file: str
    sha256: str
    train: tuple[Array, Array]
    test: tuple[Array, Array]


@lru_cache(maxsize=1)
def digits() -> Dataset:
    """Return the 1,797 digits of 8 × 8 pixels, in a fixed random order: 1,400 to train and 397 to test.

    Inputs are (n, 64), the pixels 0 to 16 divided by 16, exact in binary16; targets are labels 0 to 9.

    Raises
    ------
    ModuleNotFoundError
        Without scikit-learn, which brings the file (extra ``studies``).
    """
    try:
        folder = resources.files("sklearn.datasets.data")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "digits: scikit-learn, which brings the data, is not installed; pip install 'halfsim[studies]'",
            name=error.name,
        ) from None
    from sklearn.datasets import load_digits

    source = load_digits()
    order = Words(_SHUFFLE, 0).permutation(len(source.target))
    x, y = (source.data[order] / 16).astype(np.float16), source.target[order].astype(np.int64)
    sha256 = hashlib.sha256((folder / "digits.csv.gz").read_bytes()).hexdigest()
    return Dataset("digits", "digits.csv.gz", sha256, (x[:_TRAIN], y[:_TRAIN]), (x[_TRAIN:], y[_TRAIN:]))


@lru_cache(maxsize=2)
def heat_map(train: int = 1536, test: int = 256, size: int = 32, stride: int = 2) -> Dataset:
    """Return canvases with one digit each, and the map of where which digit has its centre.

    A canvas is `size` × `size`, noise uniform in ±1/16, with one 8 × 8 digit at a random place (the brighter pixel
    wins); training and test canvases hold different digits. Inputs are its 8 × 8 windows at every `stride` pixels,
    (n, positions, 64); targets are bool (n, positions, 10), true at the centre of the digit for its class alone.
    """
    source = digits()
    halves: list[tuple[Array, Array]] = []
    for part, count in ((source.train, train), (source.test, test)):
        random = Words(_CANVAS, len(halves))
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


def patches(images: Array, stride: int) -> Array:
    """Return the 8 × 8 windows of square images, zero beyond the border: (n, positions, 64).

    The window of position (r, c) begins at pixel (stride r - 4, stride c - 4), so that it is centred there.
    """
    count, size, _ = images.shape
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), (1, 2))[:, :size:stride, :size:stride]
    return np.ascontiguousarray(windows).reshape(count, (size // stride) ** 2, 64)
