"""Sums of binary16 in ascending k, rounded stochastically, in vector registers, many columns side by side.

Equal to `sequential` and `sequential_fused` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it).

Sums are formed in binary64, where that of two binary16 numbers is exact. A product is added exactly too, unless it lies
30 binades or more below the total, and then the sum is corrected to the next number toward zero; or far above it,
when the result overflows whatever was rounded.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy import float64, int64

from halfsim.core._jit import kernel, scalar
from halfsim.core.control import random_bits
from halfsim.kernels import vectors
from halfsim.kernels.simd import Rule, make_rule
from halfsim.kernels.sums import read16, write16
from halfsim.kernels.sweep import ADVANCE, walk
from halfsim.kernels.vectors import LANES, load, multiply, splat, store, where_below, widen
from halfsim.kernels.words import draw_words

__all__ = ["binary16"]

_DISCARDED = 42
"""Bits of a binary64 significand below those of binary16."""
_MAGNITUDE = (1 << 63) - 1
_SMALLEST = float64(2.0**-14)
_OVERFLOW = float64(65536.0)


class _Stochastic16(NamedTuple):
    """The task of `binary16`."""

    rule: Rule
    fused: bool
    kept: int
    """Mask of the random bits that count, which lie right below the last bit of the result."""
    seed: int
    index: int
    """Philox counter of the first element of d."""
    step: int
    """Number of the first rounding."""
    words: object
    """Memory for the words of four roundings."""
    total: object
    """Memory for the sums of a row."""


@scalar
def _magnitude(value):
    return vectors.number(vectors.bitwise_and(vectors.bits(value), splat(int64(_MAGNITUDE))))


@scalar
def _signed(magnitude, value):
    """Give a magnitude, or zero of either sign, the sign of a value."""
    sign = vectors.bitwise_and(vectors.bits(value), splat(int64(~_MAGNITUDE)))
    return vectors.number(vectors.bitwise_or(vectors.bits(magnitude), sign))


@scalar
def _round(value, word, kept):
    """Round to binary16: up in magnitude where the fraction discarded and the random one make a whole.

    The value moves by 2**-14 where it is subnormal, so that the last bit of the result is that of its significand.
    """
    zero = splat(float64(0))
    smallest = splat(_SMALLEST)
    moved = where_below(_magnitude(value), smallest, _signed(smallest, value), zero)
    random = vectors.bitwise_and(vectors.shift_left(word, splat(int64(_DISCARDED - 32))), splat(int64(kept)))
    bits = vectors.add(vectors.bits(vectors.add(value, moved)), random)
    bits = vectors.bitwise_and(bits, splat(int64(-1 << _DISCARDED)))
    result = _signed(vectors.subtract(vectors.number(bits), moved), value)
    return where_below(_magnitude(result), splat(_OVERFLOW), result, multiply(result, splat(float64(math.inf))))


@scalar
def _toward_zero(product, total, value):
    """Cut what rounding to binary64 has added to the magnitude of a sum."""
    rest = vectors.subtract(value, product)
    error = vectors.add(vectors.subtract(product, vectors.subtract(value, rest)), vectors.subtract(total, rest))
    bits = vectors.bits(value)
    below = vectors.shift_right(vectors.bitwise_xor(vectors.bits(error), bits), splat(int64(63)))
    return where_below(splat(float64(0)), _magnitude(error), vectors.number(vectors.add(bits, below)), value)


@scalar
def _chain(task, a, x, b, y, width, terms, step, index):
    """Carry one row against a vector of columns, whose elements are `index`, through a part of the terms."""
    words, kept = task.words, task.kept
    total = widen(load(task.total, 0))
    term = total
    last = terms if task.fused else 2 * terms
    done = int64(0)
    while done < last:
        draw_words(index, task.seed, (step + done) >> 2, words)
        for lane in range((step + done) & 3, min(4, ((step + done) & 3) + last - done)):
            word = load(words, lane * LANES)
            if task.fused:
                product = multiply(splat(float64(a[x + done])), widen(load(b, y + done * width)))
                value = vectors.add(product, total)
                if vectors.any_unequal(vectors.subtract(value, total), product):
                    value = _toward_zero(product, total, value)
                total = _round(value, word, kept)
            elif done & 1:
                total = _round(vectors.add(term, total), word, kept)
            else:
                k = done >> 1
                term = _round(multiply(splat(float64(a[x + k])), widen(load(b, y + k * width))), word, kept)
            done += 1
    store(task.total, 0, vectors.narrow(total))


@scalar
def _rows(task, a, count, b, panel, part, d, state):
    lanes = np.arange(LANES)
    for column in range(0, part.right - part.left, LANES):
        left = part.left + column
        right = min(left + LANES, part.right)
        for i in range(count):
            target = d[part.row + i, left:right]
            read16(target, task.rule, task.total)
            first = task.index + (part.row + i) * d.shape[1] + left
            step = task.step + (part.first if task.fused else 2 * part.first)
            index = vectors.add(splat(int64(first)), load(lanes, 0))
            _chain(task, a, i * part.depth, b, panel + column, part.width, part.terms, step, index)
            write16(task.total, target)


ADVANCE[_Stochastic16] = _rows


@kernel
def binary16(a, b, batch_a, batch_b, d, start, stop, control, fused, seed, index, step):
    """Compute rows `start` to `stop` of d (products * M, N), uint16 patterns that hold C.

    `seed`, `index` and `step` are those of the general loops.
    """
    bits = random_bits(control)
    kept = ((1 << bits) - 1) << (_DISCARDED - bits)
    rule = make_rule(control)
    total = np.zeros(LANES, np.float32)
    task = _Stochastic16(rule, fused, kept, seed, index, step, np.zeros(4 * LANES, np.int64), total)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, 0, total, task)
