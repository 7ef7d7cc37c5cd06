"""The family that is directed by the coverage model: one row for every bin, found among rows aimed at the zones."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from halfsim.environment import RISCV, Tininess
from halfsim.rounding import Rounding
from halfsim.testvectors.bins import indices
from halfsim.testvectors.cases import ranges, structured, ties
from halfsim.testvectors.cases.family import Drawn, Family, Listed, Source, Words
from halfsim.testvectors.outcomes import rule_of
from halfsim.testvectors.subjects import Subject

__all__ = ["FAMILIES"]

_AIMED = 1 << 16
_POOL = 1 << 11
# Where zones end: half the smallest number, it, the smallest normal number and what rounds to it, the largest and what
# rounds to infinity.
_ENDS = (2.0**-25, 2.0**-24, 2.0**-14 - 2.0**-24, 2.0**-14 - 2.0**-25, 2.0**-14, 65504.0, 65520.0, 65536.0)
_SIGNED_ENDS = np.array([*_ENDS, *(-end for end in _ENDS)])


def _aimed(words: NDArray[np.uint64]) -> tuple[Words, ...]:
    """Return factors of every pair of classes and magnitude, and an addend that takes the sum to the end of a zone."""
    end = _SIGNED_ENDS[words[:, 3] % np.uint64(len(_SIGNED_ENDS))]
    subnormal = words[:, 2] % np.uint64(3)
    a, b = (_finite(words[:, i]) for i in (0, 1))
    a = np.where(subnormal < 2, a & np.uint16(0x83FF), a)
    # The product is as large as the end or up to 2**15 times smaller.
    distance = ((words[:, 2] >> np.uint64(8)) & np.uint64(15)).astype(np.int64)
    exponent = _exponent(end) - distance - _exponent(a.view(np.float16)) + 15
    b = b & np.uint16(0x83FF) | np.clip(exponent, 1, 30).astype(np.uint16) << np.uint16(10)
    b = np.where(subnormal < 1, b & np.uint16(0x83FF), b)
    swapped = (words[:, 2] >> np.uint64(16)) & np.uint64(1) == 1
    a, b = np.where(swapped, b, a), np.where(swapped, a, b)
    # The product is exact in binary64, and so near an end is the difference.
    product = a.view(np.float16).astype(np.float64) * b.view(np.float16)
    with np.errstate(over="ignore"):
        c = (end - product).astype(np.float16).view(np.uint16).astype(np.int64)
    step = ((words[:, 3] >> np.uint64(8)) % np.uint64(3)).astype(np.int64) - 1
    return a, b, np.where(c & 0x7FFF > 0, c + step, c).astype(np.uint16)


def _finite(words: NDArray[np.uint64]) -> Words:
    """Return finite numbers."""
    exponent, rest = words % np.uint64(31), (words >> np.uint64(16)) & np.uint64(0x83FF)
    return (exponent << np.uint64(10) | rest).astype(np.uint16)


def _exponent(numbers: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)


def _pool(subject: Subject) -> list[Source]:
    """Return the rows among which the directed ones are found."""
    families = (*structured.FAMILIES, *ties.FAMILIES, *ranges.FAMILIES)
    found = [family.source(subject, 1, 0, _POOL) for family in families if family.name not in ("exhaustive", "pairs")]
    sources = [source for source in found if source is not None]
    return [*sources, Drawn(_AIMED, 0, "coverage", _aimed)] if subject.name == "fma" else sources


@lru_cache(maxsize=16)
def _one_per_bin(subject: Subject) -> Listed:
    """Return rows that hit every bin, of every direction and tininess, that the pool hits."""
    pool = [source.block(0, source.rows) for source in _pool(subject)]
    columns = _chosen(subject, [np.concatenate(column) for column in zip(*pool, strict=True)])
    if subject.name == "fma":
        columns = _chosen(subject, _mirrored(*columns))
    return Listed(columns)


def _chosen(subject: Subject, columns: list[Words]) -> list[Words]:
    """Return the first row in every bin."""
    rows: set[int] = set()
    for rounding in Rounding:
        for tininess in Tininess:
            environment = replace(RISCV, tininess=tininess)
            result, flags = subject.evaluate(columns, rounding=rounding, environment=environment)
            _, first = np.unique(indices(subject, columns, result, flags), return_index=True)
            rows.update(first.tolist())
    chosen = np.array(sorted(rows), np.int64)
    return [column[chosen] for column in columns]


def _mirrored(a: Words, b: Words, c: Words) -> list[Words]:
    """Return a * b + c with the factors exchanged, with both their signs changed, and all of it negated."""
    sign = np.uint16(0x8000)
    for step in range(3):
        mirrored = ((b, a, c), (a ^ sign, b ^ sign, c), (a ^ sign, b, c ^ sign))[step]
        a, b, c = (np.concatenate(pair) for pair in zip((a, b, c), mirrored, strict=True))
    return [a, b, c]


def _coverage(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    return _one_per_bin(subject) if rule_of(subject) else None


FAMILIES = (Family("coverage", "a row for every bin of the coverage model that the operation can reach", _coverage),)
