"""Operands of sums, the same on every machine: pixels of real images, and normal numbers."""

from __future__ import annotations

import math

import numpy as np

from halfsim.conversion import convert
from halfsim.formats import BINARY16
from halfsim.kernels import elementary
from halfsim.training.arithmetic import Array
from halfsim.training.tasks import Classification
from halfsim.training.words import Words

__all__ = ["OPERANDS", "Images", "exact_product", "normal", "operands", "rounded"]

_ORDER, _NORMAL = 11, 12


class Images:
    """Images as rows of pixels in [0, 1], in binary16.

    Parameters
    ----------
    dataset : str
        ``"digits"``, ``"fashion-mnist"``, or ``"digits-or-fashion"``: Fashion-MNIST where the system has it.
    count : int
        How many, at most; there are 1,400 digits.

    Attributes
    ----------
    name, file, sha256 : str
        What they are, the file they were read from, and that file's digest.
    pixels : float16 array, shape (n, p)
        ``k / 255`` of the pixels of clothes, ``k / 16`` of those of digits, rounded once.
    labels : int64 array, shape (n,)
        Their classes.

    Raises
    ------
    ValueError
        If the dataset is unknown, or has fewer images of clothes than asked for.

    Examples
    --------
    >>> from halfsim.studies.tables.operands import Images
    >>> Images("digits", 20).rows(2, length=100).shape
    (2, 100)
    """

    def __init__(self, dataset: str, count: int) -> None:
        # Fewer digits than asked for will do, also where they do not stand in for clothes.
        train = min(count, 1400) if dataset == "digits" else count
        data = Classification(dataset=dataset, train=train).data
        self.name, self.file, self.sha256 = data.name, data.file, data.sha256
        x, self.labels = data.train
        if data.normalised is None:
            self.pixels = x
        else:
            # A step of the pixels is many times what rounding them moved them.
            mean, deviation, largest = data.normalised
            self.pixels = rounded(np.rint((x * deviation + mean) * largest) / largest)

    def rows(self, rows: int, length: int) -> Array:
        """Return rows of that many pixels: images in a random order, pixel after pixel, from a random one on.

        Rows so differ in where their images begin, and the k-th pixels of two rows have little to do with each other.

        Parameters
        ----------
        rows : int
            How many; row i is the same whatever their number.
        length : int
            Pixels of a row. A shorter row is the beginning of a longer one.

        Returns
        -------
        array of float16
            (rows, length).

        Raises
        ------
        ValueError
            If a row takes more images than there are.
        """
        n, p = self.pixels.shape
        images = -(-length // p) + 1
        if images > n:
            raise ValueError(f"Images: rows of {length} pixels take {images} images, but {self.name} has {n}")
        return np.stack([self._row(Words(_ORDER, row), images, length) for row in range(rows)])

    def _row(self, words: Words, images: int, length: int) -> Array:
        start = int(words.integers(self.pixels.shape[1], 1)[0])
        order = words.permutation(len(self.pixels))[:images]
        return np.asarray(self.pixels[order].reshape(-1)[start : start + length])


def rounded(x: Array) -> Array:
    """Return numbers rounded to binary16 once.

    Parameters
    ----------
    x : array
        Numbers that `halfsim.convert` takes.

    Returns
    -------
    array of float16
        Of the same shape; nearest, ties to even.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.studies.tables.operands import rounded
    >>> rounded(np.array([0.1, 1e-8]))
    array([0.1, 0. ], dtype=float16)
    """
    return np.asarray(convert(x, BINARY16))


def normal(words: Words, count: int) -> Array:
    """Return float64 numbers of the standard normal distribution, by Marsaglia's polar method [@marsaglia1964].

    A point uniform in the square is drawn again until it lies in the unit circle, at squared radius s > 0; its two
    coordinates times ``sqrt(-2 log(s) / s)`` are normal and independent. IEEE 754 defines all of it but log, which is
    that of `halfsim.kernels.elementary`.

    Parameters
    ----------
    words : Words
        Where random numbers come from.
    count : int
        How many.

    Examples
    --------
    >>> from halfsim.studies.tables.operands import normal
    >>> from halfsim.training.words import Words
    >>> normal(Words(7, 1), 3).round(3).tolist()
    [0.872, -0.299, 0.21]
    """
    found = np.empty((0, 2))
    while found.size < count:
        # Of the points 78.5 % are kept, so one or two rounds do.
        points = 2.0 * words.uniform(2 * (count + 16)).reshape(-1, 2) - 1.0
        found = np.concatenate([found, points[_inside(points)]])
    found = found[: -(-count // 2)]
    s = _squares(found)
    logarithm = np.empty_like(s)
    elementary.log(s, logarithm)
    factor = np.sqrt(-2.0 * logarithm / s)
    return np.asarray((found * factor[:, None]).reshape(-1)[:count])


def _squares(points: Array) -> Array:
    return np.asarray(points[:, 0] * points[:, 0] + points[:, 1] * points[:, 1])


def _inside(points: Array) -> Array:
    s = _squares(points)
    return np.asarray((s < 1.0) & (s > 0.0))


OPERANDS = ("pixels × pixels", "pixels × normal")
"""Kinds of dot products: all terms positive, or terms of both signs."""


def operands(kind: str, images: Images, side: int, length: int) -> tuple[Array, Array]:
    """Return binary16 factors of side² dot products of pixels with pixels, or with normal numbers of variance 1 / K.

    Parameters
    ----------
    kind : str
        One of `OPERANDS`.
    images : Images
        Whose pixels.
    side : int
        Rows of A and columns of B.
    length : int
        K, the terms of a dot product. A shorter one is the beginning of a longer one, but for the variance.

    Returns
    -------
    (array, array)
        A of shape (side, K) and B of shape (K, side).

    Raises
    ------
    ValueError
        For an unknown kind, or a length beyond the images.

    Examples
    --------
    >>> from halfsim.studies.tables.operands import Images, operands
    >>> a, b = operands("pixels × normal", Images("digits", 10), side=2, length=100)
    >>> a.shape, b.shape, a.dtype.name, b.dtype.name
    ((2, 100), (100, 2), 'float16', 'float16')
    """
    if kind not in OPERANDS:
        raise ValueError(f"operands: kind={kind!r} is unknown; known are {', '.join(OPERANDS)}")
    if kind == OPERANDS[0]:
        both = images.rows(2 * side, length)
        return both[:side], np.ascontiguousarray(both[side:].T)
    columns = [normal(Words(_NORMAL, column), length) for column in range(side)]
    return images.rows(side, length), rounded(np.stack(columns, axis=1) / math.sqrt(length))


def exact_product(a: Array, b: Array) -> Array:
    """Return ``a @ b`` of binary16 matrices, every element the exact sum rounded to binary64 once.

    Parameters
    ----------
    a, b : float16 array, shape (M, K) and (K, N)
        Factors; products of two are exact in binary64.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.studies.tables.operands import exact_product
    >>> a = np.array([[65504, 2**-24, -65504]], np.float16)
    >>> exact_product(a, np.array([[65504], [1], [65504]], np.float16)).item() == 2**-24
    True
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    return np.array([[math.fsum((row * column).tolist()) for column in y.T] for row in x])
