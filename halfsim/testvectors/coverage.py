"""The coverage model: classes of operands, class of the result and flags, of an operation in one rounding direction.

A bin is a combination of these. It is reachable if some operands fall in it: that was found by trying all of them
(`enumerated`), or, where there are too many, by searching (`searched`); the findings are in ``reachable.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.core.fields import layout
from halfsim.environment import Environment, Tininess
from halfsim.flags import Flags
from halfsim.formats import Specials
from halfsim.rounding import ALIASES, Rounding, RoundingLike, as_rounding
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.patterns import FORMATS
from halfsim.testvectors.subjects import Subject

__all__ = ["CLASSES", "Coverage", "Reachable", "bin_name", "classify", "indices", "key", "reachable"]

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
    """Return the bin of every row, as an integer."""
    index = np.zeros(len(result), np.int64)
    for words, kind in zip((*operands, result), (*subject.operands, subject.result), strict=True):
        index = index * len(CLASSES) + classify(words, kind)
    return index * _OUTCOMES + flags


def bin_name(subject: Subject, index: int) -> str:
    """Return a bin in words: ``+normal, -zero -> -zero (none)``."""
    index, flags = divmod(index, _OUTCOMES)
    classes = []
    for _ in range(len(subject.operands) + 1):
        index, found = divmod(index, len(CLASSES))
        classes.append(CLASSES[found])
    raised = ", ".join(str(flag.name) for flag in Flags(flags)) or "no flag"
    return f"{', '.join(reversed(classes[1:]))} -> {classes[0]} ({raised})"


@dataclass(slots=True)
class Coverage:
    """Which bins some rows hit; add blocks as they come, and merge the coverage of parts.

    Parameters
    ----------
    subject : Subject
        The operation.
    hits : dict
        Rows per bin.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.coverage import Coverage
    >>> coverage = Coverage(subject("sqrt"))
    >>> operands = [np.arange(65536, dtype=np.uint16)]
    >>> coverage.add(operands, *coverage.subject.evaluate(operands))
    >>> for name, rows in coverage.named()[:3]:
    ...     print(rows, name)
    1 +zero -> +zero (no flag)
    1 -zero -> -zero (no flag)
    10 +subnormal -> +normal (no flag)
    """

    subject: Subject
    hits: dict[int, int] = field(default_factory=dict)

    def add(self, operands: Sequence[NDArray[Any]], result: NDArray[Any], flags: NDArray[np.uint8]) -> None:
        """Count the rows of a block."""
        found_in = indices(self.subject, operands, result, flags)
        if not len(found_in):
            return
        if len(self.subject.operands) > 2:
            found, counts = np.unique(found_in, return_counts=True)
        else:
            every = np.bincount(found_in)
            found = np.flatnonzero(every)
            counts = every[found]
        for index, count in zip(found.tolist(), counts.tolist(), strict=True):
            self.hits[index] = self.hits.get(index, 0) + count

    def merge(self, other: Coverage) -> None:
        """Count the rows of another part of the same vectors."""
        for index, count in other.hits.items():
            self.hits[index] = self.hits.get(index, 0) + count

    def named(self) -> list[tuple[str, int]]:
        """Return every bin that was hit, in words, and its rows."""
        return [(bin_name(self.subject, index), self.hits[index]) for index in sorted(self.hits)]


@dataclass(frozen=True, slots=True)
class Reachable:
    """The bins that operands can fall in.

    Parameters
    ----------
    how : str
        ``"enumerated"``: all operands were tried, so every other bin is unreachable. ``"searched"``: no operands were
        found for other bins in so many rows.
    rows : int
        Operands tried.
    bins : frozenset of int
        The bins.
    """

    how: str
    rows: int
    bins: frozenset[int]

    def missed(self, coverage: Coverage) -> list[str]:
        """Return the reachable bins that were not hit, in words."""
        return [bin_name(coverage.subject, index) for index in sorted(self.bins - coverage.hits.keys())]

    def share(self, coverage: Coverage) -> float:
        """Return the share of the reachable bins that were hit."""
        return len(self.bins & coverage.hits.keys()) / len(self.bins)

    def beyond(self, coverage: Coverage) -> list[str]:
        """Return the bins that were hit though they are not known as reachable, in words."""
        return [bin_name(coverage.subject, index) for index in sorted(coverage.hits.keys() - self.bins)]


def key(subject: Subject, rounding: RoundingLike, tininess: Tininess) -> str:
    """Return the key of a table of reachable bins; what cannot matter for a subject is not part of it."""
    mode = as_rounding(rounding, "coverage")
    parts = [subject.name]
    if subject.rounds:
        names = {value: alias for alias, value in ALIASES.items()}
        parts.append(names[mode] if isinstance(mode, Rounding) else "stochastic")
        if subject.name in ("multiply", "fma") or (subject.operation == "convert" and subject.result in FORMATS):
            parts.append(tininess.name.removesuffix("Rounding"))
    return "-".join(parts)


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, Any]]:
    text = resources.files("halfsim.testvectors").joinpath("reachable.json").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = json.loads(text)
    return tables


def reachable(subject: Subject, rounding: RoundingLike, environment: Environment) -> Reachable | None:
    """Return the reachable bins of a subject in a direction, or None where nobody has looked.

    The bins are those of gradual underflow; where subnormals are flushed, and for stochastic rounding, there are none.
    Operations with one operand of up to 16 bits are tried on the spot.
    """
    if environment.flush_inputs or environment.flush_results:
        return None
    if len(subject.operands) == 1 and TYPES[subject.operands[0]] <= 16:
        return _enumerated(subject, as_rounding(rounding), environment)
    table = _tables().get(key(subject, rounding, environment.tininess))
    if table is None:
        return None
    return Reachable(table["how"], table["rows"], frozenset(int(word, 36) for word in table["bins"].split()))


@lru_cache(maxsize=64)
def _enumerated(subject: Subject, rounding: RoundingLike, environment: Environment) -> Reachable:
    kind = subject.operands[0]
    every = [np.arange(1 << TYPES[kind]).astype(np.uint16 if TYPES[kind] > 8 else np.uint8)]
    coverage = Coverage(subject)
    coverage.add(every, *subject.evaluate(every, rounding=rounding, environment=environment))
    return Reachable("enumerated", len(every[0]), frozenset(coverage.hits))


def _encoded(bins: Iterable[int]) -> str:
    return " ".join(np.base_repr(index, 36).lower() for index in sorted(bins))
