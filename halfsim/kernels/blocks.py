"""Rows of a matrix unit's product in vector registers: C read, blocks added, results written.

A product of two factors is exact in binary32, and so is its multiple by the power of two that makes the unit of the
block 1; the conversion to an integer is the cut. `halfsim.kernels.blocksums` has the rest of a block.

Two rows at a time share what is loaded of B and hide each other's latency.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from halfsim.core._processor import has_feature
from halfsim.kernels.blocksums import FAR, NEAR, Binary16, Binary32, FarBinary32, FusedSum, Sum, overflow, scale_of
from halfsim.kernels.decoding import OUTSIDE, SPECIAL
from halfsim.kernels.doublesums import ExactSum, StagedSum, far_sum, join, near_sum, product_exponent, rounded_once
from halfsim.kernels.vectorcode import BYTE, DOUBLE, FLOAT, INT, LONG, Lanes, Memory, each, pointers

__all__ = ["add_blocks", "lanes", "panel_columns", "read_sums", "write_sums"]

_FEW = 16


@cache
def panel_columns() -> int:
    """Columns of a panel: where there are 32 registers, four of them for each of what a row needs."""
    return 64 if has_feature("avx512bw") else _FEW


@intrinsic
def lanes(typingctx):
    """Columns of a panel, a constant of the processor."""

    def codegen(context, builder, signature, args):
        return LONG(panel_columns())

    return types.int64(), codegen


def _sum_of(d: Any, codes: Any) -> Sum:
    if d.dtype == types.uint16:
        return Binary16
    return Binary32 if codes.dtype == types.uint8 else FarBinary32


@intrinsic
def read_sums(typingctx, d, codes, at, count, totals, to, mask):
    """Decode `count` patterns of C from `at` on; d and codes are as in `add_blocks`."""

    def codegen(context, builder, signature, args):
        source, target = pointers(context, builder, (d, totals), (args[0], args[4]))

        def body(memory: Memory, j: Any) -> None:
            pattern = memory.load(source, builder.add(args[2], j)).widened()
            value = _sum_of(d, codes).read(pattern, memory.splat(builder.trunc(args[6], INT)))
            memory.store(target, builder.add(args[5], j), value)

        each(builder, args[3], body)
        return context.get_dummy_value()

    return types.void(d, codes, types.int64, types.int64, totals, types.int64, types.int64), codegen


@intrinsic
def write_sums(typingctx, totals, at, d, codes, to, left, mark_at, count, report, reports, column, nan):
    """Encode `count` sums into d from `to` on, but for elements whose factors were reported: marks go to `left`.

    `report` is that on the row, `reports` has those on the columns from `column` on. A mark is their union; where they
    are SPECIAL alone, 2 or 4 are added if the sum of the other products is infinite in binary16, plus or minus. A NaN
    has the pattern `nan`.
    """
    kinds, kind = (totals, d, left, reports), _sum_of(d, codes)

    def codegen(context, builder, signature, args):
        arrays = args[0], args[2], args[5], args[9]
        source, target, marks, seen = pointers(context, builder, kinds, arrays)

        def body(memory: Memory, j: Any) -> None:
            total, place = memory.load(source, builder.add(args[1], j)), builder.add(args[4], j)
            pattern = memory.load(target, place)
            both = memory.load(seen, builder.add(args[10], j)) | memory.splat(builder.trunc(args[8], INT))
            both = (both & SPECIAL).equals(0).choose(both | (kind.unknown(total) & OUTSIDE), both)
            result = kind.write(total, pattern.widened(), memory.splat(builder.trunc(args[11], INT))).shortened(
                pattern.value.type.element
            )
            memory.store(target, place, both.equals(0).choose(result, pattern))
            mark = both.equals(1).choose(both + overflow(total), both)
            memory.store(marks, builder.add(args[6], j), mark.shortened(BYTE))

        each(builder, args[7], body)
        return context.get_dummy_value()

    word = types.int64
    return types.void(totals, word, d, codes, word, left, word, word, word, reports, word, word), codegen


class _Rows:
    """Writes the blocks of some rows of A and some columns of a panel."""

    lanes = 64
    """Columns side by side, where a panel has as many."""

    def __init__(self, kind: Sum, memory: Memory, arrays: Any, rows: Any, panel: Any, block: Any) -> None:
        self.kind, self.memory, self.rows, self.panel = kind, memory, rows, panel
        self.values_a, self.codes_a, self.values_b, self.codes_b, self.sums = arrays
        self.group, self.mask, self.numbers = block

    def _cells(self, element: Any) -> list[Any]:
        return [self.memory.cell(element) for _ in self.rows]

    def _column(self, data: Any, k: Any) -> Lanes:
        builder = self.memory.builder
        return self.memory.load(data, builder.add(self.panel, builder.mul(k, LONG(panel_columns()))))

    def _word(self, number: Any) -> Lanes:
        return self.memory.splat(self.memory.builder.trunc(number, INT))

    def write(self, count: Any, totals: list[Any]) -> None:
        """Write the loop over the blocks of `count` terms; `totals` are the places of the sums."""
        memory, builder = self.memory, self.memory.builder
        cells = self._cells(FLOAT)
        for cell, place in zip(cells, totals, strict=True):
            memory.set(cell, memory.load(self.sums, place))
        with cgutils.for_range_slice(builder, LONG(0), count, self.group) as (start, _):
            before = [memory.get(cell) for cell in cells]
            after = self._block(start, builder.add(start, self.group), before)
            for cell, total in zip(cells, after, strict=True):
                memory.set(cell, total)
        for cell, place in zip(cells, totals, strict=True):
            memory.store(self.sums, place, memory.get(cell))

    def _block(self, start: Any, stop: Any, before: list[Lanes]) -> list[Lanes]:
        """Write a block; return the sums after it."""
        raise NotImplementedError


class _FusedRows(_Rows):
    """Blocks that `FusedSum` describes."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        elements = self.codes_b.type.pointee, INT, INT
        self.codes, self.first, self.second = map(self._cells, elements)

    def write(self, count: Any, totals: list[Any]) -> None:
        """Write the loop over the blocks, and before it what all of them share."""
        self.words = [self._word(number) for number in self.numbers]
        self.kept = self._word(self.mask)
        super().write(count, totals)

    def _exponents(self, start: Any, stop: Any, least: Lanes) -> list[Lanes]:
        """Write the search of the largest codes of a block; return them as int32."""
        memory, builder = self.memory, self.memory.builder
        for code in self.codes:
            memory.set(code, least)
        with cgutils.for_range_slice(builder, start, stop, LONG(1)) as (k, _):
            column = self._column(self.codes_b, k)
            for row, code in zip(self.rows, self.codes, strict=True):
                product = memory.spread(self.codes_a, builder.add(row, k)) + column
                memory.set(code, product.larger(memory.get(code)))
        return [memory.get(code).widened() for code in self.codes]

    def _products(self, start: Any, stop: Any, scales: list[Lanes], halves: list[Any]) -> None:
        """Write the sum of some products of a block."""
        memory, builder = self.memory, self.memory.builder
        with cgutils.for_range_slice(builder, start, stop, LONG(1)) as (k, _):
            column = self._column(self.values_b, k)
            for row, scale, half in zip(self.rows, scales, halves, strict=True):
                product = memory.spread(self.values_a, builder.add(row, k)) * column
                memory.set(half, memory.get(half) + (product * scale).truncated())

    def _block(self, start: Any, stop: Any, before: list[Lanes]) -> list[Lanes]:
        memory, builder, kind = self.memory, self.memory.builder, self.kind
        bits, least = self.words
        middle = builder.add(start, builder.lshr(builder.add(self.group, LONG(1)), LONG(1)))
        codes = self._exponents(start, stop, least.shortened(self.codes_b.type.pointee))
        scales = [scale_of(kind.exponent(code, c), bits) for code, c in zip(codes, before, strict=True)]
        for r, scale in enumerate(scales):
            memory.set(self.first[r], (before[r] * scale).truncated())
            memory.set(self.second[r], memory.splat(INT(0)))
        self._products(start, middle, scales, self.first)
        self._products(middle, stop, scales, self.second)
        halves = [(memory.get(x), memory.get(y)) for x, y in zip(self.first, self.second, strict=True)]
        return [kind.finish(*half, scales[r], codes[r], before[r], self.kept) for r, half in enumerate(halves)]


class _StagedRows(_FusedRows):
    """Blocks that `StagedSum` describes; C is added a register's worth of lanes at a time, in binary64."""

    def _block(self, start: Any, stop: Any, before: list[Lanes]) -> list[Lanes]:
        memory, builder = self.memory, self.memory.builder
        window = FAR if self.kind is FarBinary32 else NEAR
        zero = memory.splat(INT(0))
        codes = self._exponents(start, stop, zero.shortened(self.codes_b.type.pointee))
        exponents = [product_exponent(code, window) for code in codes]
        scales = [scale_of(exponent, self.words[0]) for exponent in exponents]
        for half in self.first:
            memory.set(half, zero)
        self._products(start, stop, scales, self.first)
        narrow = Memory(builder, min(memory.width, _FEW))
        numbers = [narrow.splat(builder.trunc(number, INT)) for number in self.numbers[:3]]
        digits = builder.sub(LONG(52), self.numbers[3])
        numbers.append(narrow.splat(builder.sub(builder.shl(LONG(1), digits), LONG(1))))
        results = []
        for r, total in enumerate(before):
            whole = memory.get(self.first[r]), exponents[r], codes[r], total
            pieces = []
            for at in range(0, memory.width, narrow.width):
                products, exponent, code, addend = (x.part(at, narrow.width) for x in whole)
                pieces.append(join(products, exponent, code, addend, window, numbers))
            while len(pieces) > 1:
                pieces = [x.beside(y) for x, y in zip(pieces[::2], pieces[1::2], strict=True)]
            results += pieces
        return results


class _ExactRows(_Rows):
    """Blocks that `ExactSum` describes, in binary64."""

    lanes = _FEW

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.high, self.low = map(self._cells, (DOUBLE, DOUBLE))

    def _block(self, start: Any, stop: Any, before: list[Lanes]) -> list[Lanes]:
        memory, builder = self.memory, self.memory.builder
        grid, zero = memory.splat(self.numbers[0]), memory.splat(DOUBLE(0.0))
        for high, low in zip(self.high, self.low, strict=True):
            memory.set(high, grid)
            memory.set(low, zero)
        add = far_sum if self.kind is FarBinary32 else near_sum
        with cgutils.for_range_slice(builder, start, stop, LONG(1)) as (k, _):
            column = self._column(self.values_b, k).to_double()
            for row, high, low in zip(self.rows, self.high, self.low, strict=True):
                factor = memory.spread(self.values_a, builder.add(row, k)).to_double()
                total, rest = add(memory.get(high), memory.get(low), factor, column)
                memory.set(high, total)
                memory.set(low, rest)
        sums = zip(self.high, self.low, before, strict=True)
        return [rounded_once(memory.get(high) - grid, memory.get(low), c.to_double()) for high, low, c in sums]


_WRITERS = {FusedSum: _FusedRows, StagedSum: _StagedRows, ExactSum: _ExactRows}


@intrinsic
def add_blocks(typingctx, d, values_a, codes_a, values_b, codes_b, sums, x, y, panel, total, columns, count, block):
    """Add the blocks of two rows of A and one panel of B to their sums.

    `values_a` and `codes_a` hold decoded rows from `x` and `y` on, `values_b` and `codes_b` a panel from `panel` on,
    `lanes` numbers to a term, of which `columns` are used; `sums` holds C from `total` on, one row after the other, and
    receives the results. `count` terms are added, a multiple of those of a block. `block` is (terms, mask, sum) as
    `halfsim.kernels.units.Block` has them. Results are binary16 if d is uint16, else binary32; codes are those of NEAR
    in uint8, of FAR in uint16.
    """
    arrays = (values_a, codes_a, values_b, codes_b, sums)
    writer = _WRITERS[block.types[2].instance_class]

    def codegen(context, builder, signature, args):
        x, y, panel, total, columns, count = args[6:12]
        data = pointers(context, builder, arrays, args[1:6])
        group, mask, numbers = cgutils.unpack_tuple(builder, args[12])
        block = group, mask, cgutils.unpack_tuple(builder, numbers)

        def write(width: int, first: Any) -> None:
            rows = writer(_sum_of(d, codes_b), Memory(builder, width), data, (x, y), builder.add(panel, first), block)
            rows.write(count, [builder.add(builder.add(total, LONG(r * panel_columns())), first) for r in range(2)])

        def write_slices() -> None:
            most = LONG(panel_columns())
            used = builder.select(builder.icmp_signed("<", columns, most), columns, most)
            with cgutils.for_range_slice(builder, LONG(0), used, LONG(_FEW)) as (first, _):
                write(_FEW, first)

        if panel_columns() == _FEW:
            write(_FEW, LONG(0))
            return context.get_dummy_value()
        if writer.lanes == _FEW:
            write_slices()
            return context.get_dummy_value()
        with builder.if_else(builder.icmp_signed("<=", columns, LONG(panel_columns() // 2))) as (few, many):
            with few:
                write_slices()
            with many:
                write(panel_columns(), LONG(0))
        return context.get_dummy_value()

    return types.void(d, *arrays, *(types.int64,) * 6, block), codegen
