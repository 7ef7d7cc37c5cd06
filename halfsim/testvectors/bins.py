"""Classes of numbers, and the bins of the coverage model: classes of operands, class of the result and flags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.core.fields import layout
from halfsim.flags import Flags
from halfsim.formats import Specials
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.patterns import FORMATS
from halfsim.testvectors.subjects import Subject

__all__ = ["CLASSES", "bin_name", "bin_of", "classify", "encoded", "indices", "outcome_name"]

CLASSES = (
    "+zero", "-zero", "+subnormal", "-subnormal", "+normal", "-normal", "+infinity", "-infinity", "quiet NaN",
    "signaling NaN",
)  # fmt: skip
"""Classes of numbers; of integers and truth values only the first and the normal ones occur."""
_OUTCOMES = 32


def classify(words: NDArray[Any], kind: str) -> NDArray[np.uint8]:
    """Return the index in `CLASSES` of every pattern of a type."""
    if TYPES[kind] <= 16:
        found: NDArray[np.uint8] = _table(kind)[words]
        return found
    return _classes(words, kind)


@lru_cache(maxsize=16)
def _table(kind: str) -> NDArray[np.uint8]:
    return _classes(np.arange(1 << TYPES[kind], dtype=np.uint64), kind)


def _classes(words: NDArray[Any], kind: str) -> NDArray[np.uint8]:
    width = TYPES[kind]
    word = words.astype(np.uint64)
    if kind not in FORMATS:
        negative = (word >> np.uint64(width - 1)).astype(np.uint8) if kind.startswith("i") else np.uint8(0)
        return np.where(word == 0, 0, 4 + negative).astype(np.uint8)
    fields = layout(FORMATS[kind])
    magnitude = word & np.uint64((1 << (width - 1)) - 1)
    sign = (word >> np.uint64(width - 1)).astype(np.uint8)
    found = np.where(magnitude > fields.fraction_mask, 4, 2).astype(np.uint8)
    found[magnitude == 0] = 0
    found += sign
    if fields.specials == Specials.nan_only:
        found[magnitude == fields.infinity] = 8
    elif fields.specials == Specials.ieee:
        found[magnitude == fields.infinity] = 6 + sign[magnitude == fields.infinity]
        nan = magnitude > np.uint64(fields.infinity)
        quiet = (magnitude >> np.uint64(fields.precision - 2)) & np.uint64(1)
        found[nan] = 9 - quiet[nan].astype(np.uint8)
    return found


def indices(
    subject: Subject, operands: Sequence[NDArray[Any]], result: NDArray[Any], flags: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Return the bin of every row, as a number that `bin_name` puts in words."""
    index = np.zeros(len(result), np.int64)
    for words, kind in zip((*operands, result), (*subject.operands, subject.result), strict=True):
        index = index * len(CLASSES) + classify(words, kind)
    return index * _OUTCOMES + flags


def bin_of(classes: Sequence[int], result: int, flags: int) -> int:
    """Return the bin of one choice of classes and flags."""
    index = 0
    for position in (*classes, result):
        index = index * len(CLASSES) + position
    return index * _OUTCOMES + flags


def bin_name(subject: Subject, index: int) -> str:
    """Return a bin in words: ``+normal, -zero -> -zero (no flag)``."""
    index, flags = divmod(index, _OUTCOMES)
    classes = []
    for _ in range(len(subject.operands) + 1):
        index, found = divmod(index, len(CLASSES))
        classes.append(CLASSES[found])
    return f"{', '.join(reversed(classes[1:]))} -> {outcome_name(CLASSES.index(classes[0]), flags)}"


def encoded(bins: Iterable[int]) -> str:
    """Return bins as a table holds them."""
    return " ".join(np.base_repr(index, 36).lower() for index in sorted(bins))


def outcome_name(result: int, flags: int) -> str:
    """Return the class of a result and its flags in words."""
    raised = ", ".join(str(flag.name) for flag in Flags(flags)) or "no flag"
    return f"{CLASSES[result]} ({raised})"
