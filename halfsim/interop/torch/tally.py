"""What a machine counts for the report of a simulation, and of how many of its products."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from halfsim.arrays import contiguous
from halfsim.core.control import control_word
from halfsim.environment import IEEE
from halfsim.interop.torch.report import EVERY, Counts, Report
from halfsim.interop.torch.steady import Lost
from halfsim.kernels.losses import LOSSES, WHOLE, extraordinary, losses, narrowed
from halfsim.rounding import Rounding
from halfsim.training.arithmetic import Array
from halfsim.training.ledger import WATCHED, Ledger, is_special
from halfsim.training.products import Factors

__all__ = ["NEAREST", "Tally"]

_LEAST = 64
"""Rows that are worth a second product, which begins with copying the columns whatever their number."""
_SMALL = 1024
"""Results up to which a second product is nothing beside the dispatch of PyTorch."""
_FEW = 32
"""Elements up to which summing each by itself takes less time than a second product of their rows."""
_ROWS = 0x9E3779B0
"""A salt: which rows are compared must not follow from which products are."""
_F16, _F32 = np.dtype(np.float16), np.dtype(np.float32)
_ZEROS = np.zeros(0, np.uint16)
_NO_ROWS, _NONE = slice(0), np.zeros(0, np.int64)
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
        self._products: dict[tuple[str, str], int] = {}
        self._seen: Array | None = None
        self._seen_special = False

    def count(self, layer: str, kind: str, exact: Array, stored: Array) -> None:
        """Count the losses of a result."""
        if self.sampling:
            self._report.modules[layer].elements += stored.size
            self.lost(layer, exact, stored)

    def lost(self, layer: str, exact: Array, stored: Array) -> None:
        """Count what a result lost that is counted already, in a type that is narrower than the policy's format."""
        if self.sampling:
            special, *lost = self._losses(exact, stored)
            _add(self._report.modules[layer], lost)
            self._seen, self._seen_special = stored, special

    def _losses(self, exact: Array, stored: Array) -> tuple[bool, int, int, int, int, int]:
        """Return what `halfsim.kernels.losses.losses` does."""
        if not stored.flags.c_contiguous and stored.flags.f_contiguous and exact.flags.f_contiguous:
            # In the order of memory, which costs no copy.
            exact, stored = exact.T, stored.T
        wide, narrow = np.ascontiguousarray(exact.reshape(-1), _F32), stored.reshape(-1)
        if narrow.dtype != _F16:
            narrow = narrow.astype(_F32, copy=False)
        patterns = narrow.view(np.uint16 if narrow.dtype == _F16 else np.uint32)
        found: tuple[bool, int, int, int, int, int] = losses(wide.view(np.uint32), patterns, self._normal, NEAREST)
        return found

    def operand(self, layer: str, values: Array, stored: Array) -> None:
        """Count what rounding a float32 operand, or flushing a float16 one, took off."""
        if self.sampling:
            self.rounded(layer, self.rounding(values, stored))

    def rounding(self, values: Array, stored: Array) -> Lost:
        """Return what rounding an operand took off."""
        _, inexact, overflow, _, flushed, _ = self._losses(values, stored)
        infinite = int(np.count_nonzero(np.isinf(stored) & np.isfinite(values))) if overflow else 0
        return inexact, infinite, flushed

    def rounded(self, layer: str, lost: Lost) -> None:
        """Count what rounding an operand took off."""
        inexact, infinite, flushed = lost
        if inexact:
            counts = self._report.modules[layer]
            counts.rounded += inexact
            counts.rounded_overflow += infinite
            counts.rounded_flushed += flushed

    def narrowed(self, layer: str, values: Array) -> Array | None:
        """Return a float32 operand in C order rounded to binary16, to nearest, and count; None where it holds a NaN."""
        stored = np.empty(values.shape, _F16)
        lost = narrowed(values.reshape(-1).view(np.uint32), stored.reshape(-1).view(np.uint16), NEAREST)
        if lost[0] < 0:
            return None
        self.rounded(layer, lost)
        return stored

    def watch(self, layer: str, tensor: str, stored: Array) -> None:
        """Note whether a result holds an infinity or a NaN."""
        if not self.special and self._report.first is None:
            self.special = self._seen_special if stored is self._seen else is_special(np.asarray(stored))
        self._seen = None

    def compare(self, layer: str, exact: Array, stored: Array) -> None:
        """Keep no book of errors."""

    def watches(self, layer: str, product: str) -> tuple[bool, int, int]:
        """Return whether a product is counted, as the report's `count` says, how many sums are watched, its number."""
        key = layer, product
        number = self._products.get(key, 0)
        self._products[key] = number + 1
        return _is_turn(number, self._report.count), WATCHED if _is_turn(number, EVERY) else 0, number

    def sample(self, stored: Array, number: int) -> slice | None:
        """Return which rows of a product are compared with another, as the report's `rows` asks; None for all."""
        asked = self._report.rows
        if stored.ndim != 2 or stored.size < _SMALL or asked == 1:
            return None
        # One row in so many, or where that were too few, more of one product in so many.
        step, turn = _divisor(asked, max(1, len(stored) // _LEAST)), number // self._report.count
        if not _is_turn(turn, asked // step):
            return _NO_ROWS
        return None if step == 1 else slice(_scattered(turn, _ROWS) % step, None, step)

    def single(self, layer: str, factors: Factors, stored: Array, sampled: slice) -> Array:
        """Compare all that can be anything but inexact outside of sampled rows; return which rows are to be compared.

        They are the sampled ones, and where there is more of it than it pays to sum by itself, those that hold it.
        """
        (a, b, c), marks = factors, np.zeros(len(stored), np.uint8)
        if sampled is not _NO_ROWS:
            marks[sampled] = WHOLE
        starts = _ZEROS if c is None else c.view(np.uint16 if c.dtype == _F16 else np.uint32)
        found, special, *lost = extraordinary(
            a.view(np.uint16),
            b.view(np.uint16),
            starts,
            contiguous(stored).reshape(-1).view(np.uint16),
            self._normal,
            NEAREST,
            marks,
            _FEW,
        )
        self._seen, self._seen_special = stored, special
        counts, rows = self._report.modules[layer], _NONE
        if found > _FEW:
            rows, found = np.flatnonzero(marks), 0
        elif sampled is not _NO_ROWS:
            rows = np.flatnonzero(marks == WHOLE)
        counts.uncounted += stored.size - rows.size * stored.shape[1] - found
        if found:
            counts.elements += found
            _add(counts, lost)
        return rows

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


@lru_cache(maxsize=256)
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
    return every == 1 or number % every == _scattered(number // every) % every


def _add(counts: Counts, lost: list[int]) -> None:
    """Add the `LOSSES`, which mostly are of one kind."""
    for name, number in zip(LOSSES, lost, strict=True):
        if number:
            setattr(counts, name, getattr(counts, name) + number)
