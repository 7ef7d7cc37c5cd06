"""Tiles of sums of exact products, held in registers over all terms: the inner loop of binary32 matrix products.

A tile is a few rows by a few vectors of columns. Every sum is its own chain in ascending k, one rounding per term, so
that the shape of the tile, which only suits the registers of the processor, changes no bit.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from halfsim.kernels.vectors import LANES, exact_multiply_add

__all__ = ["TILE_ROWS", "add_products", "many_registers"]

TILE_ROWS = 6
"""Rows of a tile: with 16 registers of 8 numbers, twelve hold sums, two a vector of B and one a number of A."""
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INDEX = ir.IntType(64)


@intrinsic
def many_registers(typingctx):
    """Whether the processor has 32 registers as long as a vector, known when a loop is compiled."""

    def codegen(context, builder, signature, args):
        _, _, features = context.codegen().magic_tuple()
        return context.get_constant(types.boolean, "+avx512f" in features.split(","))

    return types.boolean(), codegen


@intrinsic(prefer_literal=True)
def add_products(typingctx, rows, vectors, a, x, depth, b, y, width, terms, total, at):
    """Add the products of a[x + row * depth + k] and b[y + k * width + j] to total[at + row * width + j].

    `rows` and `vectors` of columns are literals; a, b and total flat arrays of binary32 numbers. Products must be
    exact.
    """
    shape = rows.literal_value, vectors.literal_value
    integers = [types.int64] * 2

    def codegen(context, builder, signature, args):
        a, b, total = (context.make_array(signature.args[i])(context, builder, args[i]).data for i in (2, 5, 9))
        _, _, _, x, depth, _, y, width, terms, _, at = args
        starts = [builder.add(at, builder.mul(_constant(row), width)) for row in range(shape[0])]
        slots = [
            _vector_pointer(builder, total, builder.add(first, _constant(v * LANES)))
            for first in starts
            for v in range(shape[1])
        ]
        lines = [builder.gep(a, [builder.add(x, builder.mul(_constant(row), depth))]) for row in range(shape[0])]
        sums = [cgutils.alloca_once(builder, _VECTOR) for _ in slots]
        for slot, kept in zip(slots, sums, strict=True):
            builder.store(builder.load(slot, align=4), kept)
        with cgutils.for_range(builder, terms, intp=_INDEX) as loop:
            _step(
                builder,
                shape,
                lines,
                builder.gep(b, [builder.add(y, builder.mul(loop.index, width))]),
                loop.index,
                sums,
            )
        for slot, kept in zip(slots, sums, strict=True):
            builder.store(builder.load(kept), slot, align=4)
        return context.get_dummy_value()

    signature = types.void(rows, vectors, a, *integers, b, *integers, types.int64, total, types.int64)
    return signature, codegen


def _step(builder, shape, lines, columns, k, sums):
    """Emit one term of every sum; the compiler turns the memory of `sums` into registers."""
    rows, vectors = shape
    terms = [builder.load(_vector_pointer(builder, columns, _constant(v * LANES)), align=4) for v in range(vectors)]
    for row in range(rows):
        factor = _broadcast(builder, builder.load(builder.gep(lines[row], [k]), align=4))
        for v in range(vectors):
            kept = sums[row * vectors + v]
            builder.store(exact_multiply_add(builder, _VECTOR, factor, terms[v], builder.load(kept)), kept)


def _constant(value):
    return ir.Constant(_INDEX, value)


def _vector_pointer(builder, data, index):
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _broadcast(builder, value):
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
