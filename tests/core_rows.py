"""Results of the scalar core on a fixed set of operands, computed wherever this module is run.

``python -m tests.core_rows FILE`` writes them as an array.
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np

from halfsim import environment
from halfsim.core import arithmetic, compare, convert, division, integral
from halfsim.core.control import control_word
from halfsim.core.fields import F16, layout
from halfsim.core.philox import draw
from halfsim.environment import Environment
from halfsim.formats import BINARY32, BINARY64, E4M3
from halfsim.rounding import Rounding, Stochastic
from tests.oracles import corners

SEED = 2**40 + 7
B32, B64, B8 = layout(BINARY32), layout(BINARY64), layout(E4M3)
FLUSHING = dataclasses.replace(environment.X86, flush_inputs=True, flush_results=True)
ROUNDINGS = [*Rounding, Stochastic(bits=9, seed=SEED)]
ENVIRONMENTS: list[Environment] = [environment.IEEE, environment.ARM, environment.RISCV, FLUSHING]
NAMES = [
    *("add", "subtract", "multiply", "divide", "remainder", "fma", "sqrt", "round_to_integral", "logb", "nextup"),
    *(
        "minimum_number",
        "less",
        "to_binary32",
        "product_in_binary32",
        "to_binary64",
        "to_e4m3",
        "to_int8",
        "from_int64",
    ),
]


def operands():
    """Three columns of binary16 patterns."""
    return [column[::8][:250].astype(np.int64) for column in corners.triples(600, seed=91)]


def controls():
    """Control words of every rounding in every environment."""
    return [control_word(r, e, exact=True) for r in ROUNDINGS for e in ENVIRONMENTS]


def evaluate(name, a, b, c, control, random):
    """Call one function of the core: (bits, flags)."""
    if name in ("add", "subtract"):
        return getattr(arithmetic, name)(a, b, F16, control, random)
    if name == "multiply":
        return arithmetic.multiply(a, b, F16, F16, control, random)
    if name == "fma":
        return arithmetic.fma(a, b, c, F16, F16, control, random)
    if name in ("divide", "remainder"):
        return getattr(division, name)(a, b, F16, control, random)
    if name == "sqrt":
        return division.sqrt(a, F16, control, random)
    if name in ("round_to_integral", "logb", "nextup"):
        return getattr(integral, name)(a, F16, control, random)
    if name == "minimum_number":
        return compare.extremum(a, b, 1, F16, control)
    if name == "less":
        return compare.compare(a, b, 1, 1, F16, control)
    if name == "product_in_binary32":
        return arithmetic.multiply(a, b, F16, B32, control, random)
    if name == "to_int8":
        return convert.to_integer(a, 8, 1, F16, control, random)
    if name == "from_int64":
        return convert.from_integer(a * b - (c << 40), 1, F16, control, random)
    target = {"to_binary32": B32, "to_binary64": B64, "to_e4m3": B8}[name]
    return convert.convert(a, F16, target, control, random)


def empty():
    """Array of all results: control word, name, element, and bits or flags."""
    return np.zeros((len(controls()), len(NAMES), len(operands()[0]), 2), np.int64)


def fill(w, control, columns, result, elements=None):
    """Compute the results under one control word, of all elements or of some."""
    a, b, c = columns
    for n, name in enumerate(NAMES):
        for i in range(result.shape[2]) if elements is None else elements:
            random = draw(control, SEED, i, 0)
            bits, flags = evaluate(name, int(a[i]), int(b[i]), int(c[i]), control, random)
            result[w, n, i, 0] = bits
            result[w, n, i, 1] = flags


if __name__ == "__main__":
    results = empty()
    for number, word in enumerate(controls()):
        fill(number, word, operands(), results)
    np.save(sys.argv[1], results)
