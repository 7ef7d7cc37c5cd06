"""Families built from corners: exponents and significands, zeros, subnormals, NaNs, infinities."""

from __future__ import annotations

import numpy as np

from halfsim.testvectors.cases.family import Drawn, Family, Grid, Listed, Source, Words, unsigned
from halfsim.testvectors.cases.numbers import both_signs, corners, few, is_float, nans, pack, subnormals, zeros
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.patterns import FORMATS
from halfsim.testvectors.subjects import Subject

__all__ = ["FAMILIES"]

_WIDEST = 19


def _every(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    if len(subject.operands) > 1 or TYPES[subject.operands[0]] > _WIDEST:
        return None
    kind = subject.operands[0]
    return Grid([np.arange(1 << TYPES[kind], dtype=unsigned(kind))])


def _pairs(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    if len(subject.operands) != 2 or any(TYPES[kind] > 16 for kind in subject.operands):
        return None
    return Grid([np.arange(1 << 16, dtype=np.uint16)] * 2)


def _corners(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    kinds = subject.operands
    if len(kinds) < 3:
        return Grid([corners(kind, level) for kind in kinds])
    return Grid([corners(kinds[0], 1) if level > 1 else few(kinds[0]), *map(few, kinds[1:])])


def _floats(subject: Subject) -> bool:
    return all(is_float(kind) for kind in subject.operands)


def _signed_zeros(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    """Zeros with zeros, with the smallest, with one, with the largest and with infinity."""
    if not _floats(subject):
        return None
    columns = []
    for kind in subject.operands:
        fmt = FORMATS[kind]
        others = both_signs(kind, np.concatenate([pack(kind, [0, fmt.bias], [1, 0]), few(kind)[-1:]]))
        columns.append(np.unique(np.concatenate([zeros(kind), others])))
    return Grid(columns)


def _with(special: Words, others: Words, arity: int) -> Listed:
    """Return rows with a special value in each place, and others or specials in the rest."""
    both = np.concatenate([special, others])
    parts = []
    for place in range(arity):
        grid = Grid([special if i == place else both for i in range(arity)])
        parts.append(grid.block(0, grid.rows))
    return Listed([np.concatenate(column) for column in zip(*parts, strict=True)])


def _nan_payloads(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    if not _floats(subject) or not len(nans(subject.operands[0])):
        return None
    kind = subject.operands[0]
    special = both_signs(kind, nans(kind))
    if len(subject.operands) == 3 and level == 1:
        special = special[[0, 1, 2, len(special) // 2, len(special) // 2 + 1]]
    others = few(kind)[:: 3 if len(subject.operands) == 3 else 1]
    return _with(special, others, len(subject.operands))


def _subnormal(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    if not _floats(subject):
        return None
    kind, arity = subject.operands[0], len(subject.operands)
    special = subnormals(kind)
    if arity == 3:
        special = special[:: 1 if level > 1 else 6]
        return _with(special, few(kind)[::2], arity)
    return _with(special, corners(kind, 1), arity)


def _integers(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    """Numbers about the limits of the integer type of the result, and halves there."""
    if is_float(subject.result) or subject.operation != "convert" or subject.operands[0] != "f16":
        return None
    width, signed = TYPES[subject.result], subject.result.startswith("i")
    limits = [0, 1, 2, 1 << (width - signed), -(1 << (width - 1)) if signed else -1]
    with np.errstate(over="ignore"):
        middle = np.array(limits, np.float64).astype(np.float16).view(np.uint16)
    around = (middle[:, None].astype(np.int64) + np.arange(-8, 9)).ravel() % (1 << 16)
    return Listed([np.unique(around.astype(np.uint16))])


def _uniform(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    def make(words: np.ndarray) -> tuple[Words, ...]:
        return tuple(
            (words[:, i] & np.uint64((1 << TYPES[kind]) - 1)).astype(unsigned(kind))
            for i, kind in enumerate(subject.operands)
        )

    return Drawn(count, seed, "uniform", make)


def _log_uniform(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    """Exponents uniform about those of binary16, fractions uniform or nearly all zeros or all ones."""
    if not _floats(subject):
        return None

    def make(words: np.ndarray) -> tuple[Words, ...]:
        return tuple(_spread(kind, words[:, i]) for i, kind in enumerate(subject.operands))

    return Drawn(count, seed, "log-uniform", make)


def _spread(kind: str, words: np.ndarray) -> Words:
    fmt = FORMATS[kind]
    bits = fmt.precision - 1
    low, high = max(fmt.emin - 1, -27), min(fmt.emax, 17)
    exponent = words % np.uint64(high - low + 1) + np.uint64(low + fmt.bias)
    fraction = (words >> np.uint64(8)) & np.uint64((1 << bits) - 1)
    shape = (words >> np.uint64(61)).astype(np.int64)
    # In five of eight rows the fraction is random, in two it ends in zeros, in one in ones.
    kept = np.uint64((1 << bits) - (1 << max(bits - 12, bits // 2)))
    fraction = np.where((shape == 5) | (shape == 6), fraction & kept, fraction)
    fraction = np.where(shape == 7, fraction | ~kept & np.uint64((1 << bits) - 1), fraction)
    sign = (words >> np.uint64(60)) & np.uint64(1)
    packed = pack(kind, exponent, fraction).astype(np.uint64) | sign << np.uint64(fmt.width - 1)
    return packed.astype(unsigned(kind))


FAMILIES = (
    Family("exhaustive", "every operand of operations with one, up to 19 bits wide", _every),
    Family("pairs", "every pair of operands, 2^32 rows", _pairs),
    Family("corners", "corner exponents times corner significands, in every combination", _corners),
    Family("signed-zeros", "zeros of both signs with zeros, the smallest, one, the largest, infinities", _signed_zeros),
    Family("nan-payloads", "quiet and signaling NaNs with the ends of their payloads in every place", _nan_payloads),
    Family("subnormal", "subnormal corners in every place, with subnormals and with corners", _subnormal),
    Family("integer-limits", "numbers about the limits of the integer type of the result", _integers),
    Family("uniform", "uniformly random bit patterns", _uniform),
    Family("log-uniform", "random exponents about binary16's range; fractions random or long runs", _log_uniform),
)
