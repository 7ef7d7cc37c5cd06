"""What a machine counts for the report of a simulation, and of how many of its products."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np

from halfsim.arrays import contiguous
from halfsim.core.control import control_word
from halfsim.environment import IEEE
from halfsim.interop.torch.report import EVERY, Report
from halfsim.kernels.census import LOSSES, losses16, losses32, outside
from halfsim.rounding import Rounding
from halfsim.training.arithmetic import Array
from halfsim.training.ledger import WATCHED, Ledger, is_special

__all__ = ["NEAREST", "Tally"]

_LEAST = 64
"""Rows that are worth a second product, which begins with copying the columns whatever their number."""
_SMALL = 1024
"""Results up to which a second product is nothing beside the dispatch of PyTorch."""
_FEW = 32
"""Elements up to which summing each by itself takes less time than a second product of their rows."""
_NORMAL16, _NORMAL32 = (0x7FFF, 0x0400, 0x7BFF), (0x7FFFFFFF, 0x38800000, 0x477FE000)
"""Magnitude, smallest normal and largest number of binary16, as patterns of it and of binary32."""
_ROWS = 0x9E3779B0
"""A salt: which rows are compared must not follow from which products are."""
_NONE = np.zeros(0, np.int64)
NEAREST = control_word(Rounding.roundTiesToEven, IEEE)
"""The word of rounding to nearest, for loops that ask for one."""


class Tally(Ledger):
    """The books of a machine, kept by module in a report.

    Parameters
    ----------
    report : Report
        Where to count, and whether; infinities and NaNs are noted in any case.
    normal : float
        The smallest normal number of what is stored.

    Attributes
    ----------
    special : bool
        Whether a result since this was last set to False holds an infinity or a NaN.
    """

    trusts_wide_sums = True

    def __init__(self, report: Report, normal: float) -> None:
        super().__init__()
        self.sampling = report.count > 0
        self.special = False
        self._report, self._normal = report, np.float32(normal).view(np.int32)
        self._products: Counter[tuple[str, str]] = Counter()
        self._ordinary: Array | None = None

    def count(self, layer: str, kind: str, exact: Array, stored: Array) -> None:
        """Count the losses of a result."""
        if not self.sampling:
            return
        self._report.modules[layer].elements += stored.size
        self.lost(layer, exact, stored)

    def lost(self, layer: str, exact: Array, stored: Array) -> None:
        """Count what a result lost that is counted already, in a type that is narrower than the policy's format."""
        if not self.sampling:
            return
        counts = self._report.modules[layer]
        inexact, overflow, underflow, flushed, invalid = self._losses(exact, stored)
        counts.inexact += inexact
        counts.overflow += overflow
        counts.underflow += underflow
        counts.flushed += flushed
        counts.invalid += invalid

    def _losses(self, exact: Array, stored: Array) -> list[int]:
        """Return how many elements lost something in being stored: the `LOSSES`."""
        if stored.flags.f_contiguous and exact.flags.f_contiguous:
            # In the order of memory, which costs no copy.
            exact, stored = exact.T, stored.T
        wide = np.ravel(exact).astype(np.float32, copy=False).view(np.uint32)
        narrow = np.ravel(stored)
        counts = np.zeros(len(LOSSES), np.int64)
        if narrow.dtype == np.float16:
            losses16(wide, narrow.view(np.uint16), self._normal, NEAREST, counts)
        else:
            losses32(wide, narrow.astype(np.float32, copy=False).view(np.uint32), self._normal, counts)
        return counts.tolist()

    def operand(self, layer: str, values: Array, stored: Array) -> None:
        """Count what rounding a float32 operand, or flushing a float16 one, took off."""
        if not self.sampling:
            return
        inexact, overflow, _, flushed, _ = self._losses(values, stored)
        if inexact:
            counts = self._report.modules[layer]
            counts.rounded += inexact
            counts.rounded_flushed += flushed
            if overflow:
                counts.rounded_overflow += int(np.count_nonzero(np.isinf(stored) & np.isfinite(values)))

    def watch(self, layer: str, tensor: str, stored: Array) -> None:
        """Note whether a result holds an infinity or a NaN."""
        if stored is not self._ordinary and not self.special and self._report.first is None:
            self.special = is_special(np.asarray(stored))
        self._ordinary = None

    def compare(self, layer: str, exact: Array, stored: Array) -> None:
        """Keep no book of errors."""

    def watches(self, layer: str, product: str) -> tuple[bool, int, int]:
        """Return whether a product is counted, as the report's `count` says, how many sums are watched, its number."""
        number = self._products[layer, product]
        self._products[layer, product] += 1
        return _is_turn(number, self._report.count), WATCHED if _is_turn(number, EVERY) else 0, number

    def sample(self, layer: str, stored: Array, number: int) -> tuple[Array, Array] | None:
        """Return which rows of a product are compared with another, and which other elements, by place; None for all.

        They are those that the report's `rows` asks for, and with them all that can be anything but inexact.
        """
        asked = self._report.rows
        if stored.ndim != 2 or stored.size < _SMALL or asked == 1:
            return None
        rows, columns = stored.shape
        # One row in so many, or where that were too few, more of one product in so many.
        step, turn = _divisor(asked, max(1, rows // _LEAST)), number // self._report.count
        places, is_turn = _extraordinary(stored), _is_turn(turn, asked // step)
        if not places.size:
            # So it needs no search for an infinity.
            self._ordinary = stored
            if not is_turn:
                self.skip(layer, stored.size)
                return _NONE, _NONE
        chosen = np.zeros(rows, bool)
        if is_turn:
            chosen[_scattered(turn, _ROWS) % step :: step] = True
        places = places[~chosen[places // columns]]
        if places.size > _FEW:
            chosen[places // columns], places = True, _NONE
        kept = np.flatnonzero(chosen)
        if kept.size == rows:
            return None
        self.skip(layer, stored.size - kept.size * columns - places.size)
        return kept, places

    def skip(self, layer: str, elements: int) -> None:
        """Note results of a product that is not counted."""
        self._report.modules[layer].uncounted += elements

    def swallow(self, layer: str, product: str, pair: tuple[int, int]) -> None:
        """Count watched additions."""
        counts = self._report.modules[layer]
        counts.swallowed += pair[0]
        counts.additions += pair[1]


@lru_cache(maxsize=256)
def _divisor(number: int, most: int) -> int:
    """Return the greatest divisor of a number that is not above `most`."""
    return next(each for each in range(min(number, most), 0, -1) if number % each == 0)


def _scattered(number: int, salt: int = 0) -> int:
    """Return 32 bits that look random, 0 for 0, other ones for another salt: a hash of multiplications and shifts."""
    word = number * (salt + 1) & 0xFFFFFFFF
    word = (word ^ word >> 16) * 0x7FEB352D & 0xFFFFFFFF
    word = (word ^ word >> 15) * 0x846CA68B & 0xFFFFFFFF
    return word ^ word >> 16


def _is_turn(number: int, every: int) -> bool:
    """Whether a product is the one of its turn: the first of all, and one in `every`, at no fixed distance.

    A module that makes several products a call would show the same one of them for ever.
    """
    turn, place = divmod(number, every)
    return place == _scattered(turn) % every


def _extraordinary(stored: Array) -> Array:
    """Return the places, in C order, of what is zero, subnormal, the largest number of binary16, infinite or NaN."""
    held = contiguous(stored).reshape(-1)
    narrow = held.dtype == np.float16
    numbers = held.view(np.uint16 if narrow else np.uint32), *(_NORMAL16 if narrow else _NORMAL32)
    places = np.empty(_FEW, np.int64)
    found = outside(*numbers, places)
    if found > _FEW:
        places = np.empty(found, np.int64)
        outside(*numbers, places)
    return places[:found]
