"""scikit-learn's handwritten digits.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" [@alpaydin1998].
"""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from halfsim.checks import integer
from halfsim.training.arithmetic import Array
from halfsim.training.data.dataset import Dataset, pooled
from halfsim.training.words import Words

__all__ = ["digits", "enlarged_digits"]

_SHUFFLE = 1234
_TRAIN, _TEST = 1400, 397
_LARGEST = 16
# Mean and standard deviation of the enlarged training pixels over 16, to four digits.
_MEAN, _DEVIATION = 0.2246, 0.3493


@lru_cache(maxsize=4)
def digits(train: int = 1400, test: int = 397, pool: int = 1) -> Dataset:
    """Return the 1,797 digits of 8 × 8 pixels in a fixed random order, of which 1,400 are to train and 397 to test.

    They are digits of [@alpaydin1998], as scikit-learn has them.
    Inputs are (n, 64 / pool²), pixels 0 to 16 divided by 16, exact in binary16; targets are labels 0 to 9.

    Parameters
    ----------
    train, test : int
        How many: the first of the 1,400 and the first of the 397.
    pool : int
        Side of the squares of pixels that are averaged: 1, 2, 4 or 8.

    Raises
    ------
    ModuleNotFoundError
        Without scikit-learn, which brings the file (extra ``studies``).
    ValueError
        When more are asked for than there are.

    Examples
    --------
    >>> from halfsim.training.data import digits
    >>> data = digits()
    >>> data.train[0].shape, data.test[1][:5].tolist()
    ((1400, 64), [6, 7, 6, 1, 1])
    """
    # The file alone: to import scikit-learn takes seconds, and brings SciPy.
    package = find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(
            "digits: scikit-learn, which brings the data, is not installed; pip install 'halfsim[studies]'",
            name="sklearn",
        )
    train, test = integer("digits", "train", train, 1, _TRAIN), integer("digits", "test", test, 1, _TEST)
    packed = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz").read_bytes()
    # 64 pixels and a label in a line.
    table = np.loadtxt(gzip.decompress(packed).decode().splitlines(), np.uint8, delimiter=",")
    order = Words(_SHUFFLE, 0).permutation(len(table))
    sums = pooled(table[order, :-1].reshape(-1, 8, 8), pool)
    x = (sums / (_LARGEST * pool**2)).reshape(len(order), -1).astype(np.float16)
    y = table[order, -1].astype(np.int64)
    sha256 = hashlib.sha256(packed).hexdigest()
    rest = slice(_TRAIN, _TRAIN + test)
    return Dataset("digits", "digits.csv.gz", sha256, (x[:train], y[:train]), (x[rest], y[rest]))


@lru_cache(maxsize=4)
def enlarged_digits(train: int = 1400, test: int = 397, pool: int = 1) -> Dataset:
    """Return digits in the shape of Fashion-MNIST, 28 × 28 pixels: sums over pixels and examples are as long as there.

    Every pixel is repeated 3 × 3, and two rows of zeros are put around; the 1,400 digits to train are repeated in the
    same order until there are as many as asked for. Inputs are (n, 784 / pool²): ``(x / 16 - 0.2246) / 0.3493`` of the
    pixels 0 to 16 in binary64, rounded to binary16 once: mean 0 and deviation 1, as those of Fashion-MNIST.

    Parameters
    ----------
    train : int
        How many to train, of which 1,400 differ.
    test : int
        How many to test, at most: there are 397.
    pool : int
        Side of the squares of pixels that are averaged: 1, 2, 4, 7, 14 or 28.

    Raises
    ------
    ModuleNotFoundError
        Without scikit-learn (extra ``studies``).
    ValueError
        If `pool` is none of these, or a number of examples is not positive.

    Examples
    --------
    >>> from halfsim.training.data import enlarged_digits
    >>> data = enlarged_digits(train=6000, test=2000)
    >>> data.train[0].shape, data.test[0].shape
    ((6000, 784), (397, 784))
    """
    train = integer("enlarged_digits", "train", train, 1, 2**31)
    test = integer("enlarged_digits", "test", test, 1, 2**31)
    small = digits()
    halves = [(_enlarged(x[:count], pool), y[:count]) for (x, y), count in ((small.train, _TRAIN), (small.test, test))]
    (x, y), tested = halves
    every = np.arange(train) % _TRAIN
    scale = (_MEAN, _DEVIATION, _LARGEST)
    return Dataset("digits, enlarged", small.file, small.sha256, (x[every], y[every]), tested, normalised=scale)


def _enlarged(x: Array, pool: int) -> Array:
    small = (_LARGEST * x.reshape(-1, 8, 8)).astype(np.uint8)
    large = np.pad(small.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))
    means = pooled(large, pool) / (_LARGEST * pool**2)
    return np.asarray(((means - _MEAN) / _DEVIATION).astype(np.float16).reshape(len(x), -1))
