"""The general loops of matrix products: every accumulator, every rounding, on the arithmetic of the core.

All loops have the same operands. `a` (batch, M, K) and `b` (batch, K, N) are patterns of binary16, or of the formats
that a loop is given beside them, in uint16 or uint32; `batch_a` and `batch_b`
say which matrix of each a product uses. `elements` lists flat indices into the (products, M, N) result. For the
element ``elements[i]``, ``d[i]`` holds the pattern of C and receives the result, and flags are added to ``flags[i]``.
``index`` is the Philox counter of element 0 and `step` the number of the first rounding. The loop covers
``range(start, stop)`` of `elements`. Loops that need memory of their own take `scratch` next, int64, as long as
`halfsim.kernels.product.Plan` says: on a GPU a thread can make no array.
"""

from __future__ import annotations

import numpy as np

from halfsim.core import arithmetic, dot
from halfsim.core._jit import kernel, scalar
from halfsim.core.convert import convert
from halfsim.core.dot import EXACT_BOTTOM, Status
from halfsim.core.fields import F16, larger, smaller
from halfsim.core.philox import draw
from halfsim.kernels.limbs import accumulate, clear, round_limbs

__all__ = [
    "compensated",
    "convert_addend",
    "exact",
    "fused_dot_add",
    "pairwise",
    "place",
    "sequential",
    "sequential_fused",
]


@scalar
def place(element, rows, columns):
    """Return (product, row, column) of a flat index."""
    return element // (columns * rows), element // columns % rows, element % columns


@kernel
def convert_addend(elements, d, flags, fields, to, control, seed, index, start, stop):
    """Round every C from one format to another: rounding number 0 of its element."""
    for i in range(start, stop):
        random = draw(control, seed, index + elements[i], 0)
        d[i], flags[i] = convert(np.int64(d[i]), fields, to, control, random)


@kernel
def sequential(a, b, batch_a, batch_b, elements, d, flags, to, control, seed, index, step, start, stop):
    """One term after the other, product and sum rounded."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    for i in range(start, stop):
        element = elements[i]
        batch, row, column = place(element, rows, columns)
        x = a[batch_a[batch], row]
        y = b[batch_b[batch]]
        total = np.int64(d[i])
        raised = np.int64(flags[i])
        for k in range(terms):
            total, more = dot.sequential_step(
                total, np.int64(x[k]), np.int64(y[k, column]), F16, to, control, seed, index + element, step + 2 * k
            )
            raised |= more
        d[i] = total
        flags[i] = raised


@kernel
def sequential_fused(a, b, batch_a, batch_b, elements, d, flags, to, control, seed, index, step, start, stop):
    """One term after the other, each with one rounding."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    for i in range(start, stop):
        element = elements[i]
        batch, row, column = place(element, rows, columns)
        x = a[batch_a[batch], row]
        y = b[batch_b[batch]]
        total = np.int64(d[i])
        raised = np.int64(flags[i])
        for k in range(terms):
            random = draw(control, seed, index + element, step + k)
            total, more = arithmetic.fma(np.int64(x[k]), np.int64(y[k, column]), total, F16, to, control, random)
            raised |= more
        d[i] = total
        flags[i] = raised


@kernel
def compensated(a, b, batch_a, batch_b, elements, d, flags, to, control, seed, index, step, start, stop):
    """Kahan's recurrence."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    for i in range(start, stop):
        element = elements[i]
        batch, row, column = place(element, rows, columns)
        x = a[batch_a[batch], row]
        y = b[batch_b[batch]]
        total = np.int64(d[i])
        error = np.int64(0)
        raised = np.int64(flags[i])
        for k in range(terms):
            number = step + 5 * k
            total, error, more = dot.compensated_step(
                total, error, np.int64(x[k]), np.int64(y[k, column]), F16, to, control, seed, index + element, number
            )
            raised |= more
        d[i] = total
        flags[i] = raised


@kernel
def pairwise(a, b, batch_a, batch_b, elements, d, flags, to, control, seed, index, step, start, stop, tree):
    """A tree of sums, level by level; C last."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    for i in range(start, stop):
        element = elements[i]
        batch, row, column = place(element, rows, columns)
        x = a[batch_a[batch], row]
        y = b[batch_b[batch]]
        raised = np.int64(flags[i])
        number = step
        for k in range(terms):
            random = draw(control, seed, index + element, number)
            tree[k], more = arithmetic.multiply(np.int64(x[k]), np.int64(y[k, column]), F16, to, control, random)
            raised |= more
            number += 1
        size = terms
        while size > 1:
            pairs = size // 2
            for k in range(pairs):
                random = draw(control, seed, index + element, number)
                tree[k], more = arithmetic.add(tree[2 * k], tree[2 * k + 1], to, control, random)
                raised |= more
                number += 1
            if size % 2:
                tree[pairs] = tree[size - 1]
            size = pairs + size % 2
        random = draw(control, seed, index + element, number)
        d[i], more = arithmetic.add(tree[0], np.int64(d[i]), to, control, random)
        flags[i] = raised | more


@kernel
def exact(a, b, batch_a, batch_b, elements, d, flags, to, control, seed, index, step, start, stop, limbs, fields):
    """The long accumulator; C is read in the format `fields`."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    for i in range(start, stop):
        element = elements[i]
        batch, row, column = place(element, rows, columns)
        x = a[batch_a[batch], row]
        y = b[batch_b[batch]]
        clear(limbs)
        status, sign, exponent, significand = dot.addend(np.int64(d[i]), fields)
        accumulate(limbs, EXACT_BOTTOM, sign, exponent, significand)
        for k in range(terms):
            seen, sign, exponent, significand = dot.product(np.int64(x[k]), np.int64(y[k, column]), F16, F16)
            status |= seen
            if significand:
                accumulate(limbs, EXACT_BOTTOM, sign, exponent, significand)
        random = draw(control, seed, index + element, step)
        d[i], more = round_limbs(limbs, EXACT_BOTTOM, status, to, control, random)
        flags[i] = np.int64(flags[i]) | more


@kernel
def fused_dot_add(
    a, b, batch_a, batch_b, elements, d, flags, to, control, seed, index, step, start, stop, scratch, block
):
    """Block after block of a matrix unit.

    `block` is (terms, fraction bits, zero exponent, control word of the cut, layout of A, layout of B).
    """
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    length, fraction_bits, zero_exponent, cut, left, right = block
    point = left.precision + right.precision - 2
    # The products of a block, kept from the search of the largest exponent to the sum.
    size = smaller(length, terms)
    signs, powers, products = scratch[:size], scratch[size : 2 * size], scratch[2 * size :]
    for i in range(start, stop):
        element = elements[i]
        batch, row, column = place(element, rows, columns)
        x = a[batch_a[batch], row]
        y = b[batch_b[batch]]
        total = np.int64(d[i])
        number = step
        for first in range(0, terms, length):
            count = smaller(length, terms - first)
            status, sign, exponent, significand = dot.addend(total, to)
            largest = larger(zero_exponent, dot.alignment_exponent(exponent, significand, to.precision - 1))
            for j in range(count):
                k = first + j
                seen, signs[j], powers[j], products[j] = dot.product(
                    np.int64(x[k]), np.int64(y[k, column]), left, right
                )
                status |= seen
                largest = larger(largest, dot.alignment_exponent(powers[j], products[j], point))
            unit = largest - fraction_bits
            units = dot.align(sign, exponent, significand, unit, cut)
            for j in range(count):
                units += dot.align(signs[j], powers[j], products[j], unit, cut)
            total = dot.finish_block(status, units, unit, to, control, draw(control, seed, index + element, number))
            number += 1
            if status & Status.nan:
                break
        d[i] = total
