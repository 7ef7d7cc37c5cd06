"""What every set of data has: inputs and targets in two parts, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halfsim.training.arithmetic import Array

__all__ = ["Dataset", "pooled"]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Inputs and targets, for training and for testing.

    Parameters
    ----------
    name, file, sha256 : str
        What it is, the file it was read from, and that file's digest. Of several files it is the digest of the lines
        that ``sha256sum FILES`` prints for them in the order named, as ``sha256sum FILES | sha256sum`` finds it.
    train, test : (array, array)
        Inputs (float16, or integer tokens) and targets.
    notice : str
        What a reader of results must know of these data, "" for nothing: that they stand in for others.
    normalised : (float, float, int), optional
        Of images whose pixels are not from 0 to 1: the mean and the deviation that they were normalised with, and the
        largest pixel of the file.

    Examples
    --------
    >>> from halfsim.training.data import digits
    >>> data = digits()
    >>> data.name, [part.shape for part in data.test]
    ('digits', [(397, 64), (397,)])
    """

    name: str
    file: str
    sha256: str
    train: tuple[Array, Array]
    test: tuple[Array, Array]
    notice: str = ""
    normalised: tuple[float, float, int] | None = None


def pooled(images: Array, pool: int) -> Array:
    """Return the sums of squares of `pool` × `pool` pixels of images (n, height, width) of unsigned bytes, exact."""
    count, height, width = images.shape
    if pool < 1 or height % pool or width % pool:
        raise ValueError(f"pooled: pool={pool} does not divide {height} × {width} pixels; pass a divisor of both")
    cells = images.reshape(count, height // pool, pool, width // pool, pool)
    return np.asarray(cells.sum(axis=(2, 4), dtype=np.int32))
