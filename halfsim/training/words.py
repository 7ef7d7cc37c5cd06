"""Random choices of a run, made from the raw words of Philox, which no release of NumPy may change."""

from __future__ import annotations

import numpy as np

from halfsim.checks import integer
from halfsim.training.arithmetic import Array

__all__ = ["Words"]


class Words:
    """The 64-bit words of NumPy's Philox4x64-10 bit generator under the key (seed, purpose), counter from 1.

    NumPy keeps the words of a bit generator; what its Generator makes of them (permutations, integers) may change
    between releases, so that is done here, by integer operations.

    Parameters
    ----------
    seed, purpose : int
        The key, 0 to 2**64 - 1 each.
    skip : int
        How many words to leave out first, at no cost.

    Raises
    ------
    ValueError
        For a key or a number of words that cannot be.

    Examples
    --------
    >>> from halfsim.training.words import Words
    >>> Words(7, 1).permutation(5).tolist()
    [3, 1, 2, 4, 0]
    >>> bool(Words(7, 1, skip=9).raw(1)[0] == Words(7, 1).raw(10)[9])
    True
    """

    def __init__(self, seed: int, purpose: int, skip: int = 0) -> None:
        seed, purpose = (integer("Words", name, n, 0, 2**64 - 1) for name, n in (("seed", seed), ("purpose", purpose)))
        skip = integer("Words", "skip", skip, 0, 2**64 - 1)
        self._source = np.random.Philox(key=np.array([seed, purpose], np.uint64))
        # A step of the counter makes four words.
        self._source.advance(skip // 4)
        self.raw(skip % 4)

    def raw(self, count: int) -> Array:
        """Return the next words, uint64.

        Parameters
        ----------
        count : int
            How many.
        """
        return np.asarray(self._source.random_raw(count))

    def uniform(self, count: int) -> Array:
        """Return float64 numbers in [0, 1): the 53 leading bits of a word each, exactly.

        Parameters
        ----------
        count : int
            How many.
        """
        return (self.raw(count) >> np.uint64(11)) * 2.0**-53

    def integers(self, below: int, count: int) -> Array:
        """Return int64 numbers from 0 to below - 1, below at most 2**32: (32 leading bits times below) >> 32.

        Parameters
        ----------
        below, count : int
            The bound, 1 to 2**32, and how many.
        """
        return ((self.raw(count) >> np.uint64(32)) * np.uint64(below) >> np.uint64(32)).astype(np.int64)

    def permutation(self, count: int) -> Array:
        """Return 0 to count - 1 in the order of their words, equal words in ascending order.

        Parameters
        ----------
        count : int
            How many.
        """
        return np.argsort(self.raw(count), kind="stable")
