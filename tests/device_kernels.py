"""One kernel of Numba's CUDA target per function of the core, each a plain call of the scalar.

``python -m tests.device_kernels results FILE`` runs them, on a GPU or in Numba's simulator, and writes what they give;
``python -m tests.device_kernels code FILE`` compiles them to PTX, for which no GPU and no driver is needed.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
from numba import cuda, types

from halfsim.core import arithmetic, compare, convert, division, dot, integral, mfma
from halfsim.core.control import control_word
from halfsim.core.fields import F16
from halfsim.core.philox import draw
from halfsim.environment import CUDA, Environment
from halfsim.kernels.limbs import accumulate, round_limbs
from halfsim.rounding import Rounding
from tests.core_rows import B8, B32, SEED, controls, operands

CAPABILITY = (8, 0)
BLOCK_ROUNDINGS = (Rounding.roundTowardZero, Rounding.roundTiesToEven, Rounding.roundTowardPositive)
TERMS, FRACTION_BITS, ZERO_EXPONENT, SUM_BITS = 8, 24, -132, 32
LIMBS = dot.LIMBS
BOTH_ZEROS = int(dot.Status.notPlusZero | dot.Status.notMinusZero)
FLUSH = Environment(flush_inputs=True, flush_results=True)


@cuda.jit
def add(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = arithmetic.add(a[i], b[i], F16, words[w], random)


@cuda.jit
def subtract(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = arithmetic.subtract(a[i], b[i], F16, words[w], random)


@cuda.jit
def multiply(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = arithmetic.multiply(a[i], b[i], F16, F16, words[w], random)


@cuda.jit
def fma(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = arithmetic.fma(a[i], b[i], c[i], F16, F16, words[w], random)


@cuda.jit
def divide(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = division.divide(a[i], b[i], F16, words[w], random)


@cuda.jit
def sqrt(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = division.sqrt(a[i], F16, words[w], random)


@cuda.jit
def remainder(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = division.remainder(a[i], b[i], F16, words[w], random)


@cuda.jit
def round_to_integral(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = integral.round_to_integral(a[i], F16, words[w], random)


@cuda.jit
def scaleb(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = integral.scaleb(a[i], (b[i] & 63) - 32, F16, words[w], random)


@cuda.jit
def logb(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = integral.logb(a[i], F16, words[w], random)


@cuda.jit
def nextup(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        result[w, i, 0], result[w, i, 1] = integral.nextup(a[i], F16, words[w], 0)


@cuda.jit
def nextdown(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        result[w, i, 0], result[w, i, 1] = integral.nextdown(a[i], F16, words[w], 0)


@cuda.jit
def less(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        result[w, i, 0], result[w, i, 1] = compare.compare(a[i], b[i], 1, 1, F16, words[w])


@cuda.jit
def minimum_number(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        result[w, i, 0], result[w, i, 1] = compare.extremum(a[i], b[i], 1, F16, words[w])


@cuda.jit
def total_order(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        result[w, i, 0] = compare.total_order(a[i], b[i], F16)
        result[w, i, 1] = 0


@cuda.jit
def classify(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        result[w, i, 0] = compare.classify(a[i], F16)
        result[w, i, 1] = 0


@cuda.jit
def to_binary32(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = convert.convert(a[i], F16, B32, words[w], random)


@cuda.jit
def to_e4m3(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = convert.convert(a[i], F16, B8, words[w], random)


@cuda.jit
def to_int8(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        result[w, i, 0], result[w, i, 1] = convert.to_integer(a[i], 8, 1, F16, words[w], random)


@cuda.jit
def from_int64(a, b, c, words, result):
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        random = draw(words[w], SEED, i, 0)
        integer = a[i] * b[i] - (c[i] << 40)
        result[w, i, 0], result[w, i, 1] = convert.from_integer(integer, 1, F16, words[w], random)


@cuda.jit
def fused_dot_add(a, b, c, words, result):
    """One block: the terms from element i on, cut by the first control word and rounded by each."""
    w, i = cuda.grid(2)
    if w < words.size and i <= a.size - TERMS:
        addend, _ = convert.convert(c[i], F16, B32, words[w], 0)
        status, sign, exponent, significand = dot.addend(addend, B32)
        top = dot.alignment_exponent(exponent, significand, B32.precision - 1)
        for k in range(TERMS):
            seen, _, exponent, significand = dot.product(a[i + k], b[i + k], F16, F16)
            status |= seen
            more = dot.alignment_exponent(exponent, significand, 2 * F16.precision - 2)
            top = more if more > top else top
        unit = (top if top > ZERO_EXPONENT else ZERO_EXPONENT) - FRACTION_BITS
        _, sign, exponent, significand = dot.addend(addend, B32)
        total = dot.align(sign, exponent, significand, unit, words[0])
        for k in range(TERMS):
            _, sign, exponent, significand = dot.product(a[i + k], b[i + k], F16, F16)
            total += dot.align(sign, exponent, significand, unit, words[0])
        result[w, i, 0] = dot.finish_block(status, total, unit, B32, words[w], 0)
        result[w, i, 1] = 0


@cuda.jit
def exact_dot_add(a, b, c, words, result):
    """One block, summed exactly in a long accumulator of the thread."""
    w, i = cuda.grid(2)
    if w < words.size and i <= a.size - TERMS:
        digits = cuda.local.array(LIMBS, np.int64)
        for j in range(LIMBS):
            digits[j] = 0
        addend, _ = convert.convert(c[i], F16, B32, words[w], 0)
        status, sign, exponent, significand = dot.addend(addend, B32)
        accumulate(digits, dot.EXACT_BOTTOM, sign, exponent, significand)
        for k in range(TERMS):
            seen, sign, exponent, significand = dot.product(a[i + k], b[i + k], F16, F16)
            status |= seen
            accumulate(digits, dot.EXACT_BOTTOM, sign, exponent, significand)
        status |= BOTH_ZEROS
        result[w, i, 0], _ = round_limbs(digits, dot.EXACT_BOTTOM, status, B32, words[w], 0)
        result[w, i, 1] = 0


@cuda.jit
def pairwise_dot_add(a, b, c, words, result):
    """One block of two flushed products, their sum added to C."""
    w, i = cuda.grid(2)
    if w < words.size and i <= a.size - TERMS:
        addend, _ = convert.convert(c[i], F16, B32, 0, 0)  # nothing is flushed yet
        first = mfma.rounded_product(a[i], b[i], F16, F16, B32, words[w])
        second = mfma.rounded_product(a[i + 1], b[i + 1], F16, F16, B32, words[w])
        total, _ = arithmetic.add(first, second, B32, words[w], 0)
        result[w, i, 0], _ = arithmetic.add(mfma.flushed(addend, B32, words[w]), total, B32, words[w], 0)
        result[w, i, 1] = 0


@cuda.jit
def two_stage_dot_add(a, b, c, words, result):
    """One block in two stages: products cut by the first control word, the rest by the last, rounded by each."""
    w, i = cuda.grid(2)
    if w < words.size and i <= a.size - TERMS:
        addend, _ = convert.convert(c[i], F16, B32, words[w], 0)
        status, sign, exponent, significand = dot.addend(addend, B32)
        top = dot.NO_EXPONENT
        for k in range(TERMS):
            seen, _, power, digits = mfma.bounded_product(a[i + k], b[i + k], F16, F16, B32)
            status |= seen
            more = dot.alignment_exponent(power, digits, 2 * F16.precision - 2)
            top = more if more > top else top
        unit = top - FRACTION_BITS
        total = 0
        for k in range(TERMS):
            _, negative, power, digits = mfma.bounded_product(a[i + k], b[i + k], F16, F16, B32)
            total += dot.align(negative, power, digits, unit, words[0])
        common = dot.alignment_exponent(exponent, significand, B32.precision - 1)
        common = top if top > common else common
        common = B32.emin if B32.emin > common else common
        later = words[words.size - 1]
        total, unit = mfma.join(total, unit, sign, exponent, significand, common, SUM_BITS, FRACTION_BITS, later)
        total, unit = mfma.normalised(total, unit, SUM_BITS - 1, B32, later)
        result[w, i, 0] = mfma.finish_stages(status, total, unit, B32, words[w], 0)
        result[w, i, 1] = 0


@cuda.jit
def floating(a, b, c, words, result):
    """No function of the core: what the search for floating-point instructions must find."""
    w, i = cuda.grid(2)
    if w < words.size and i < a.size:
        result[w, i, 0] = np.int64(np.float64(a[i]) * np.float64(b[i]))


ELEMENTWISE = (
    *(add, subtract, multiply, fma, divide, sqrt, remainder, round_to_integral, scaleb, logb, nextup, nextdown),
    *(less, minimum_number, total_order, classify, to_binary32, to_e4m3, to_int8, from_int64),
)


BLOCKS = (
    (fused_dot_add, CUDA),
    (exact_dot_add, Environment()),
    (pairwise_dot_add, FLUSH),
    (two_stage_dot_add, Environment()),
)
"""Blocks of matrix units, and the environment of each."""


def inputs(environment: Environment | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """Operands and control words; of a block mostly finite operands, and words whose first and last cut."""
    columns = [column[::4].copy() for column in operands()]
    if environment is None:
        return columns, np.array(controls())
    for column in columns:
        column[np.arange(column.size) % 30 > 0] &= 0xBFFF
    return columns, np.array([control_word(r, environment) for r in BLOCK_ROUNDINGS])


def results() -> dict[str, np.ndarray]:
    """What every kernel gives: (bits, flags) by control word and element."""
    found = {}
    for kernel, environment in (*((kernel, None) for kernel in ELEMENTWISE), *BLOCKS):
        columns, words = inputs(environment)
        result = np.zeros((words.size, columns[0].size, 2), np.int64)
        kernel[(1, -(-columns[0].size // 8)), (words.size, 8)](*columns, words, result)
        # The simulator's kernels keep their function under another name.
        found[getattr(kernel, "py_func", None) or kernel.fn] = result
    return {function.__name__: result for function, result in found.items()}


def code() -> dict[str, str]:
    """PTX of every kernel."""
    from numba.cuda import dispatcher

    # Device functions ask which GPU they are for; there may be none to ask.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=CAPABILITY)
    vector, table = types.int64[::1], types.int64[:, :, ::1]
    return {
        kernel.py_func.__name__: cuda.compile_ptx(
            kernel.py_func, (vector, vector, vector, vector, table), cc=CAPABILITY
        )[0]
        for kernel in (*ELEMENTWISE, *(kernel for kernel, _ in BLOCKS), floating)
    }


if __name__ == "__main__":
    if sys.argv[1] == "code":
        with open(sys.argv[2], "w") as file:
            json.dump(code(), file)
    else:
        np.savez(sys.argv[2], **results())
