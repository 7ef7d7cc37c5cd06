"""Vector files for the designs: operands from the library's families, results and flags from halfsim."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.testvectors import subject
from halfsim.testvectors.cases import plan
from halfsim.testvectors.formats import Block, Header, write
from halfsim.testvectors.tileheader import TileHeader
from halfsim.testvectors.tiles import Part
from halfsim.testvectors.tilewriter import write_tiles

__all__ = ["DOTS", "ELEMENTWISE", "ROUNDINGS", "Vectors", "dot_files", "elementwise_files"]

ROUNDINGS = ("rne", "rtz", "rdn", "rup", "rna")
"""In the order of RISC-V's rm, which the designs take."""
ELEMENTWISE = {"add": 2, "multiply": 2, "fma": 3}
DOTS = ("v100", "a100", "h100")

_Words = NDArray[np.uint16]
_CORNERS = np.array([0, 1, 2, 511, 512, 513, 1022, 1023])


class Vectors(NamedTuple):
    """A file and what a bench must be told of it."""

    path: Path
    rows: int
    rounding: int
    tininess_before: int


def _words(rng: np.random.Generator, count: int) -> _Words:
    """Patterns of every class: uniform exponents, half of the fractions at corners."""
    sign, exponent = rng.integers(0, 2, count), rng.integers(0, 32, count)
    corner = rng.choice(_CORNERS, count)
    fraction = np.where(rng.random(count) < 0.5, corner, rng.integers(0, 1024, count))
    return (sign << 15 | exponent << 10 | fraction).astype(np.uint16)


def operands(operation: str, rows: int) -> tuple[_Words, ...]:
    """Take rows of the plan of an operation: in turn one of each family and each combination of operand classes."""
    chosen = plan(subject(operation), count=rows)
    words = chosen.block(0, chosen.rows).words
    group = np.repeat(np.arange(len(chosen.sources)), [source.rows for source in chosen.sources])
    for column in words:
        group = group * 16 + hs.classify(hs.from_bits(column))
    drawn = np.random.default_rng(1).permutation(chosen.rows)
    drawn = drawn[np.argsort(group[drawn], kind="stable")]
    _, first, size = np.unique(group[drawn], return_index=True, return_counts=True)
    turn = np.arange(drawn.size) - np.repeat(first, size)
    picked = np.sort(drawn[np.argsort(turn, kind="stable")[:rows]])
    return tuple(column[picked] for column in words)


def elementwise_files(operation: str, folder: Path, rows: int) -> Iterator[Vectors]:
    """Write one file for each rounding and tininess, RISC-V's NaN rule."""
    what, words = subject(operation), operands(operation, rows)
    for number, rounding in enumerate(ROUNDINGS):
        for tininess in hs.Tininess:
            environment = dataclasses.replace(hs.RISCV, tininess=tininess)
            result, flags = what.evaluate(words, rounding=rounding, environment=environment)
            path = folder / f"{operation}_{rounding}_{tininess.name}.tv"
            header = Header(
                operation=operation,
                operands=what.operands,
                result=what.result,
                rounding=rounding,
                environment=environment,
                rows=len(result),
            )
            write(path, header, [Block(words, result, flags)])
            yield Vectors(path, len(result), number, int(tininess))


def dot_files(gpu: str, folder: Path, rows: int, seed: int = 1) -> Iterator[Vectors]:
    """Write one file of dot products of one block: the lanes of A, the lanes of B, C, D."""
    row = hs.tensorcores.row(gpu, "f32")
    rng = np.random.default_rng(seed)
    a, b = (_words(rng, rows * row.terms).reshape(rows, row.terms) for _ in range(2))
    tame = rng.random((rows, 1)) < 0.95
    a, b = (np.where(tame & (x & 0x7C00 == 0x7C00), x ^ 0x4000, x) for x in (a, b))
    b = np.where(rng.random(b.shape) < 0.2, a ^ 0x8000, b)
    exponent = rng.choice(np.array([0, 1, 2, *range(90, 160), 254, 255]), rows)
    c = (rng.integers(0, 2, rows) << 31 | exponent << 23 | rng.integers(0, 1 << 23, rows)).astype(np.uint32)
    chance = rng.random((5, rows)) < 0.05
    a[chance[0]] &= 0x83FF
    a[chance[1]] &= 0x8000
    c[chance[2]] &= 0xFF800000
    # The largest sums.
    a[chance[3]], b[chance[3]] = 0x7BFF - rng.integers(0, 4, (2, int(chance[3].sum()), row.terms))
    c[chance[3]] = 0x4EFFFFFF
    # Infinities of either sign in two lanes, some times zero.
    for lane in rng.integers(0, row.terms, (2, rows)):
        a[chance[4], lane[chance[4]]] = 0x7C00 | rng.integers(0, 2, int(chance[4].sum())) << 15
        b[chance[4], lane[chance[4]]] = rng.choice(np.array([0, 0x3C00], np.uint16), int(chance[4].sum()), p=(0.1, 0.9))
    c[rng.random(rows) < 0.01] = 0xFF800000
    # And C alone, zeros of either sign included.
    alone = rng.random(rows) < 0.01
    a[alone], c[alone] = 0, rng.choice(np.array([0, 0x80000000, 1, 0x807FFFFF], np.uint32), int(alone.sum()))
    d = hs.dot(hs.from_bits(a), hs.from_bits(b), c.view(np.float32), accumulator=row).view(np.uint32)
    path = folder / f"dot_{gpu}.tv"
    shape = (1, 1, row.terms)
    header = TileHeader(accumulator=f"{gpu}:f32", shape=shape, classes=("mixed",), tiles=rows, seed=seed)
    write_tiles(path, header, [Part(0, a[:, None, :], b[:, :, None], c[:, None, None], d[:, None, None])])
    yield Vectors(path, rows, 0, 0)
