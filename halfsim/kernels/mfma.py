"""The general loops of AMD's matrix units, with the operands that `halfsim.kernels.gemm` describes.

The last operand of each is the row as a tuple: integers, control words, and the layouts of A and of B.
"""

from __future__ import annotations

import numpy as np

from halfsim.core import arithmetic, dot, mfma
from halfsim.core._jit import kernel
from halfsim.core.control import Bit
from halfsim.core.dot import LIMB_BITS, NO_EXPONENT, Status
from halfsim.core.fields import Layout, larger, smaller
from halfsim.core.philox import draw
from halfsim.kernels.gemm import place
from halfsim.kernels.limbs import accumulate, clear, round_limbs

__all__ = ["exact_dot_add", "limbs", "pairwise_dot_add", "two_stage_dot_add"]

_BOTH_ZEROS = int(Status.notPlusZero | Status.notMinusZero)
_FLUSH_INPUTS = 1 << int(Bit.flushInputs)
# Bits that a sum of 1,024 products and C may have above the largest of them, its sign included.
_CARRIES = 12


def limbs(left: Layout, right: Layout, to: Layout) -> tuple[int, int]:
    """Return (number of limbs, exponent of the last bit) of the long accumulator of products and of C."""
    bottoms = [fields.emin - fields.precision + 1 for fields in (left, right, to)]
    tops = [fields.emin + (fields.largest >> (fields.precision - 1)) for fields in (left, right, to)]
    bottom = min(bottoms[0] + bottoms[1], bottoms[2])
    return -(-(max(tops[0] + tops[1], tops[2]) + _CARRIES - bottom) // LIMB_BITS) + 1, bottom


@kernel
def exact_dot_add(
    a, b, batch_a, batch_b, elements, d, flags, to, control, seed, index, step, start, stop, digits, block
):
    """Blocks summed exactly; `block` is (terms, exponent of the long accumulator's last bit, layouts)."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    length, bottom, left, right = block
    for i in range(start, stop):
        element = elements[i]
        batch, row, column = place(element, rows, columns)
        x = a[batch_a[batch], row]
        y = b[batch_b[batch]]
        total = np.int64(d[i])
        number = step
        for first in range(0, terms, length):
            clear(digits)
            status, sign, exponent, significand = dot.addend(total, to)
            if significand:
                accumulate(digits, bottom, sign, exponent, significand)
            for k in range(first, smaller(first + length, terms)):
                seen, sign, exponent, significand = dot.product(np.int64(x[k]), np.int64(y[k, column]), left, right)
                status |= seen
                if significand:
                    accumulate(digits, bottom, sign, exponent, significand)
            random = draw(control, seed, index + element, number)
            # The unit does not look at the signs of zeros: a zero sum is that of zeros of both signs.
            total, _ = round_limbs(digits, bottom, status | _BOTH_ZEROS, to, control, random)
            number += 1
        d[i] = total


@kernel
def pairwise_dot_add(
    a, b, batch_a, batch_b, elements, d, flags, to, control, seed, index, step, start, stop, tree, block
):
    """Blocks of rounded products, summed as a tree of rounded sums; `block` is (terms, depth, layouts)."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    length, depth, left, right = block
    # Operands are flushed as the unit reads them, partial results only as they are made.
    made = control & ~_FLUSH_INPUTS
    for i in range(start, stop):
        element = elements[i]
        batch, row, column = place(element, rows, columns)
        x = a[batch_a[batch], row]
        y = b[batch_b[batch]]
        total = np.int64(d[i])
        for first in range(0, terms, length):
            if first % depth == 0:
                total = mfma.flushed(total, to, control)
            for j in range(length):
                k = first + j
                tree[j] = 0
                if k < terms:
                    tree[j] = mfma.rounded_product(np.int64(x[k]), np.int64(y[k, column]), left, right, to, control)
            size = length
            while size > 1:
                pairs = size // 2
                for j in range(pairs):
                    tree[j], _ = arithmetic.add(tree[2 * j], tree[2 * j + 1], to, made, 0)
                if size % 2:
                    tree[pairs] = tree[size - 1]
                size = pairs + size % 2
            total, _ = arithmetic.add(total, tree[0], to, made, 0)
        d[i] = total


@kernel
def two_stage_dot_add(
    a, b, batch_a, batch_b, elements, d, flags, to, control, seed, index, step, start, stop, scratch, block
):
    """Blocks whose products are summed first, C added after.

    `block` is (terms, fraction bits of a product, of their sum, of C, of the total, control words of the first cut and
    of the later ones, layouts).
    """
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    length, term_bits, product_bits, addend_bits, total_bits, cut, later, left, right = block
    point = left.precision + right.precision - 2
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
            largest = NO_EXPONENT
            for j in range(count):
                k = first + j
                seen, signs[j], powers[j], products[j] = mfma.bounded_product(
                    np.int64(x[k]), np.int64(y[k, column]), left, right, to
                )
                status |= seen
                largest = larger(largest, dot.alignment_exponent(powers[j], products[j], point))
            unit = largest - term_bits
            units = 0
            for j in range(count):
                units += dot.align(signs[j], powers[j], products[j], unit, cut)
            common = larger(larger(largest, to.emin), dot.alignment_exponent(exponent, significand, to.precision - 1))
            units, unit = mfma.join(units, unit, sign, exponent, significand, common, product_bits, addend_bits, later)
            units, unit = mfma.normalised(units, unit, total_bits, to, later)
            total = mfma.finish_stages(status, units, unit, to, control, draw(control, seed, index + element, number))
            number += 1
            if status & Status.nan:
                break
        d[i] = total
