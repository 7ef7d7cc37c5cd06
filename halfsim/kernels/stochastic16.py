"""Sums of binary16 in ascending k, rounded stochastically, in vector registers, many columns side by side.

Equal to `sequential` and `sequential_fused` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64, int64

from halfsim.core._jit import kernel, merged, scalar
from halfsim.core.fields import smaller
from halfsim.kernels import vectors
from halfsim.kernels.addends import read16, write16
from halfsim.kernels.arithmetic16 import Rule16, add, add_product, draw_mask, make_rule16, round_stochastic
from halfsim.kernels.integers import lane_numbers
from halfsim.kernels.simd import Rule, make_rule
from halfsim.kernels.sweep import ADVANCE, grid, walk
from halfsim.kernels.vectors import LANES, load, multiply, splat, store, widen
from halfsim.kernels.words import draw_words

__all__ = ["binary16"]


class _Stochastic16(NamedTuple):
    """The task of `binary16`."""

    rule: Rule
    fused: bool
    exact: Rule16
    mask: int
    seed: int
    counter: int
    """Philox counter of the first element of d."""
    step: int
    """Number of the first rounding."""
    words: object
    """Memory for the words of four roundings."""
    total: object
    """Memory for the sums of a row."""


@merged
def _chain(task, a, x, b, y, width, terms, step, index):
    """Carry one row against a vector of columns, whose elements are `index`, through a part of the terms."""
    words, mask = task.words, task.mask
    total = widen(load(task.total, 0))
    term = total
    last = terms if task.fused else 2 * terms
    done = int64(0)
    while done < last:
        draw_words(index, task.seed, (step + done) >> 2, words)
        for lane in range((step + done) & 3, smaller(4, ((step + done) & 3) + last - done)):
            word = load(words, lane * LANES)
            if task.fused:
                product = multiply(splat(float64(a[x + done])), widen(load(b, y + done * width)))
                total = round_stochastic(add_product(product, total, task.exact), word, mask)
            elif done & 1:
                total = round_stochastic(add(term, total, task.exact), word, mask)
            else:
                k = done >> 1
                product = multiply(splat(float64(a[x + k])), widen(load(b, y + k * width)))
                term = round_stochastic(product, word, mask)
            done += 1
    store(task.total, 0, vectors.narrow(total))


@scalar
def _rows(task, a, count, b, panel, part, d, state):
    for column in range(0, part.right - part.left, LANES):
        left = part.left + column
        right = smaller(left + LANES, part.right)
        for i in range(count):
            target = d[part.row + i, left:right]
            read16(target, task.rule, task.total[:LANES])
            first = task.counter + (part.row + i) * d.shape[1] + left
            step = task.step + (part.first if task.fused else 2 * part.first)
            index = vectors.add(splat(int64(first)), lane_numbers())
            _chain(task, a, i * part.depth, b, panel + column, part.width, part.terms, step, index)
            write16(task.total, target)


ADVANCE[_Stochastic16] = _rows


def binary16(a, b, batch_a, batch_b, d, start, stop, control, fused, seed, counter, step):
    """Compute rows `start` to `stop` of d (products * M, N), uint16 patterns that hold C.

    `seed`, `counter` and `step` are the seed, index and step of the general loops.
    """
    cut, words = grid(a, b, stop - start), np.empty(4 * LANES, np.int64)
    _binary16(a, b, batch_a, batch_b, d, start, stop, control, fused, seed, counter, step, cut, words)


@kernel
def _binary16(a, b, batch_a, batch_b, d, start, stop, control, fused, seed, counter, step, grid, words):
    rule, exact = make_rule(control), make_rule16(control)
    task = _Stochastic16(rule, fused, exact, draw_mask(control), seed, counter, step, words, grid.sums)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, task)
