"""Tiles of sums held in registers over all terms: the inner loop of products whose steps are one instruction.

A tile is a few rows by a few vectors of columns. Every sum is its own chain in ascending k, so that the shape of the
tile, which only suits the registers of the processor, changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from halfsim.kernels.vectorcode import FLOAT, LONG, splat
from halfsim.kernels.vectors import LANES, exact_multiply_add

__all__ = ["TILE_ROWS", "Numbers", "add_products", "many_registers", "tile"]

TILE_ROWS = 6
"""Rows of a tile: with 16 registers of 8 numbers, twelve hold sums, two a vector of B and one a number of A."""


class Numbers(NamedTuple):
    """What a tile is made of."""

    vector: ir.VectorType
    """LLVM type of a vector of columns."""
    size: int
    """Bytes of a number."""
    spread: Callable[[Any, Any], Any]
    """Write, for a builder and a number of A, a vector of them."""
    step: Callable[[Any, Any, Any, Any], Any]
    """Write, for a builder, two vectors of factors and one of sums, the next sums."""


@intrinsic
def many_registers(typingctx):
    """Whether the processor has 32 registers as long as a vector, known when a loop is compiled."""

    def codegen(context, builder, signature, args):
        _, _, features = context.codegen().magic_tuple()
        return context.get_constant(types.boolean, "+avx512f" in features.split(","))

    return types.boolean(), codegen


def tile(numbers, rows, vectors, a, x, depth, b, y, width, terms, total, at):
    """Return (signature, code) of an intrinsic that does what `add_products` does, with other numbers."""
    shape = rows.literal_value, vectors.literal_value
    integers = [types.int64] * 2

    def codegen(context, builder, signature, args):
        a, b, total = (context.make_array(signature.args[i])(context, builder, args[i]).data for i in (2, 5, 9))
        _, _, _, x, depth, _, y, width, terms, _, at = args
        starts = [builder.add(at, builder.mul(LONG(row), width)) for row in range(shape[0])]
        slots = [
            _vector_pointer(builder, numbers, total, builder.add(first, LONG(v * numbers.vector.count)))
            for first in starts
            for v in range(shape[1])
        ]
        lines = [builder.gep(a, [builder.add(x, builder.mul(LONG(row), depth))]) for row in range(shape[0])]
        sums = [cgutils.alloca_once(builder, numbers.vector) for _ in slots]
        for slot, kept in zip(slots, sums, strict=True):
            builder.store(builder.load(slot, align=numbers.size), kept)
        with cgutils.for_range(builder, terms, intp=LONG) as loop:
            columns = builder.gep(b, [builder.add(y, builder.mul(loop.index, width))])
            _step(builder, numbers, shape, lines, columns, loop.index, sums)
        for slot, kept in zip(slots, sums, strict=True):
            builder.store(builder.load(kept), slot, align=numbers.size)
        return context.get_dummy_value()

    signature = types.void(rows, vectors, a, *integers, b, *integers, types.int64, total, types.int64)
    return signature, codegen


def _step(builder, numbers, shape, lines, columns, k, sums):
    """Emit one term of every sum; the compiler turns the memory of `sums` into registers."""
    rows, vectors = shape
    places = [_vector_pointer(builder, numbers, columns, LONG(v * numbers.vector.count)) for v in range(vectors)]
    terms = [builder.load(place, align=numbers.size) for place in places]
    for row in range(rows):
        factor = numbers.spread(builder, builder.load(builder.gep(lines[row], [k])))
        for v in range(vectors):
            kept = sums[row * vectors + v]
            builder.store(numbers.step(builder, factor, terms[v], builder.load(kept)), kept)


def _vector_pointer(builder, numbers, data, index):
    return builder.bitcast(builder.gep(data, [index]), numbers.vector.as_pointer())


def _spread(builder, number):
    return splat(builder, number, LANES).value


def _step_exact(builder, x, y, total):
    return exact_multiply_add(builder, total.type, x, y, total)


_BINARY32 = Numbers(ir.VectorType(FLOAT, LANES), 4, _spread, _step_exact)


@intrinsic(prefer_literal=True)
def add_products(typingctx, rows, vectors, a, x, depth, b, y, width, terms, total, at):
    """Add the products of a[x + row * depth + k] and b[y + k * width + j] to total[at + row * width + j].

    `rows` and `vectors` of columns are literals; a, b and total flat arrays of binary32 numbers. Products must be
    exact.
    """
    return tile(_BINARY32, rows, vectors, a, x, depth, b, y, width, terms, total, at)
