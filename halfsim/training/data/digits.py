"""scikit-learn's handwritten digits.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" [@alpaydin1998].
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

import numpy as np

from halfsim.training.data.dataset import Dataset, pooled
from halfsim.training.words import Words

__all__ = ["digits"]

_SHUFFLE = 1234
_TRAIN, _TEST = 1400, 397


@lru_cache(maxsize=4)
def digits(train: int = 1400, test: int = 397, pool: int = 1) -> Dataset:
    """Return the 1,797 digits of 8 × 8 pixels in a fixed random order, of which 1,400 are to train and 397 to test.

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
    >>> data = digits()
    >>> data.train[0].shape, data.test[1][:5].tolist()
    ((1400, 64), [6, 7, 6, 1, 1])
    """
    try:
        folder = resources.files("sklearn.datasets.data")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "digits: scikit-learn, which brings the data, is not installed; pip install 'halfsim[studies]'",
            name=error.name,
        ) from None
    if not (0 < train <= _TRAIN and 0 < test <= _TEST):
        raise ValueError(f"digits: train={train}, test={test} must be from 1 to {_TRAIN} and from 1 to {_TEST}")
    from sklearn.datasets import load_digits

    source = load_digits()
    order = Words(_SHUFFLE, 0).permutation(len(source.target))
    sums = pooled(source.images[order].astype(np.uint8), pool)
    x = (sums / (16 * pool**2)).reshape(len(order), -1).astype(np.float16)
    y = source.target[order].astype(np.int64)
    sha256 = hashlib.sha256((folder / "digits.csv.gz").read_bytes()).hexdigest()
    rest = slice(_TRAIN, _TRAIN + test)
    return Dataset("digits", "digits.csv.gz", sha256, (x[:train], y[:train]), (x[rest], y[rest]))
