"""The loops of AMD's matrix units, through the front door: against exact fractions, and shapes of operands."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from tests.oracles import mfma, philox

FLUSHING = hs.Environment(flush_inputs=True, flush_results=True)
TWO_STAGE = hs.TwoStageDotAdd(terms=8, term_bits=24, product_bits=32, addend_bits=24, total_bits=31)
ROWS = {
    "exact 4": hs.ExactDotAdd(terms=4),
    "exact 3 down": hs.ExactDotAdd(terms=3, rounding="rdn"),
    "exact 2 bfloat16": hs.ExactDotAdd(terms=2, inputs=hs.BFLOAT16),
    "exact 5 bfloat16 to binary16": hs.ExactDotAdd(terms=5, inputs=hs.BFLOAT16, output=hs.BINARY16),
    "pairwise 4": hs.PairwiseDotAdd(terms=4, depth=16, environment=FLUSHING),
    "pairwise 3": hs.PairwiseDotAdd(terms=3, depth=3, environment=FLUSHING),
    "pairwise 2 bfloat16": hs.PairwiseDotAdd(terms=2, depth=4, environment=FLUSHING, inputs=hs.BFLOAT16),
    "pairwise 4 bfloat16": hs.PairwiseDotAdd(terms=4, depth=8, environment=FLUSHING, inputs=hs.BFLOAT16),
    "pairwise gradual": hs.PairwiseDotAdd(terms=4, depth=8, inputs=hs.BFLOAT16),
    "pairwise flushed operands": hs.PairwiseDotAdd(
        terms=4, depth=8, environment=hs.Environment(flush_inputs=True), inputs=hs.BFLOAT16
    ),
    "pairwise flushed results": hs.PairwiseDotAdd(
        terms=2, depth=8, environment=hs.Environment(flush_results=True), inputs=hs.BFLOAT16
    ),
    "pairwise to binary16": hs.PairwiseDotAdd(terms=4, depth=8, environment=FLUSHING, output=hs.BINARY16),
    "two stages": TWO_STAGE,
    "two stages bfloat16": replace(TWO_STAGE, inputs=hs.BFLOAT16),
    "two stages 4": replace(TWO_STAGE, terms=4, term_bits=20, product_bits=12, addend_bits=30, total_bits=9),
    "two stages truncated": replace(TWO_STAGE, join="rtz", inputs=hs.BFLOAT16),
    "two stages mixed": replace(TWO_STAGE, inputs=(hs.BFLOAT16, hs.BINARY16), output=hs.BFLOAT16),
}


def oracle(row, a, b, c):
    """One output element in exact fractions."""
    match row:
        case hs.ExactDotAdd():
            mode = "rdn" if row.rounding == hs.Rounding.roundTowardNegative else "rne"
            return mfma.exact_chain(a, b, c, row.terms, row.inputs, row.output, mode)
        case hs.PairwiseDotAdd():
            flush = row.environment.flush_inputs, row.environment.flush_results
            return mfma.pairwise_chain(a, b, c, row.terms, row.depth, row.inputs, row.output, *flush)
    later = "rtz" if row.join == hs.Rounding.roundTowardZero else "rdn"
    stages = mfma.Stages(row.terms, row.term_bits, row.product_bits, row.addend_bits, row.total_bits, later)
    return mfma.two_stage_chain(a, b, c, stages, row.inputs, row.output)


def words(rng, shape, fmt, kind):
    """Patterns of a 16-bit format."""
    infinity = 0x7C00 if fmt == hs.BINARY16 else 0x7F80
    one = fmt.bias << (fmt.precision - 1)
    sign = rng.integers(0, 2, shape) << 15
    spread = 3 << (fmt.precision - 1)
    near = rng.integers(one - spread, one + spread, shape) | sign
    match kind:
        case "near":
            return near
        case "bits":
            return rng.integers(0, infinity, shape) | sign
        case "tiny":
            # Products of bfloat16 about the smallest normal binary32 number, of binary16 about the smallest of all.
            low = 0 if fmt == hs.BINARY16 else one - (65 << 7)
            return rng.integers(low, low + (3 << (fmt.precision - 1)), shape) | sign
        case "large":
            high = infinity - 1 if fmt == hs.BINARY16 else one + (64 << 7)
            return rng.integers(high - (2 << (fmt.precision - 1)), high + 1, shape) | sign
        case "zero":
            return np.where(rng.random(shape) < 0.6, sign, near)
    special = np.array([infinity, infinity | 0x8000, infinity + 1, 0x7FFF, 0, 0x8000])
    return np.where(rng.random(shape) < 0.1, rng.choice(special, shape), near)


KINDS = ("near", "bits", "tiny", "large", "zero", "special", "cancelling")


def case(row, kind, count, terms, seed):
    """Patterns (a, b, c) of `count` dot products."""
    rng = np.random.default_rng(seed)
    left, right = row.inputs
    plain = "near" if kind == "cancelling" else kind
    a, b = words(rng, (count, terms), left, plain), words(rng, (count, terms), right, plain)
    if kind == "cancelling":
        a[:, 1::2], b[:, 1::2] = a[:, : terms // 2 * 2 : 2] ^ 0x8000, b[:, : terms // 2 * 2 : 2] + rng.integers(0, 2)
    width, point = row.output.width, row.output.precision - 1
    one = row.output.bias << point
    wild = rng.integers(0, 1 << width, count)
    shift = {"tiny": 126, "large": -127}.get(kind, rng.choice([0, 25, 0, -25])) if width == 32 else 0
    level = (rng.integers(one - (4 << point), one + (2 << point), count) - (int(shift) << point)).clip(
        0, (1 << width - 1) - 1
    )
    c = np.choose(rng.integers(0, 4, count), [wild, level, level | 1 << (width - 1), (wild & 1) << (width - 1)])
    return a.astype(np.uint16), b.astype(np.uint16), c


def values(patterns, fmt):
    """Arrays that the front door takes."""
    if fmt == hs.BINARY16:
        return patterns.astype(np.uint16).view(np.float16)
    return (
        (patterns.astype(np.uint32) << 16).view(np.float32)
        if fmt == hs.BFLOAT16
        else patterns.astype(np.uint32).view(np.float32)
    )


def result(row, a, b, c):
    d = hs.dot(values(a, row.inputs[0]), values(b, row.inputs[1]), values(c, row.output), accumulator=row)
    if row.output == hs.BFLOAT16:
        return d.view(np.uint32) >> 16
    return d.view(np.uint16 if row.output == hs.BINARY16 else np.uint32)


@pytest.mark.parametrize("name", ROWS)
def test_every_kind_equals_its_rational_definition(name):
    row = ROWS[name]
    finite = 0
    for seed, kind in enumerate(KINDS):
        a, b, c = case(row, kind, 60, 13, seed)
        got = result(row, a, b, c).tolist()
        for i, operands in enumerate(zip(a.tolist(), b.tolist(), c.tolist(), strict=True)):
            want = oracle(row, *operands)
            assert got[i] == want, (kind, hex(got[i]), hex(want), [hex(x) for x in operands[0]], operands[1:])
        infinity = (1 << row.output.width - 1) - (1 << row.output.precision - 1)
        finite += sum((x & infinity) != infinity for x in got)
    assert finite > 60 * len(KINDS) * 0.5


def test_stochastic_rounding_draws_one_word_per_block():
    rng = np.random.default_rng(5)
    a, b = (words(rng, (40, 8), hs.BINARY16, "near").astype(np.uint16) for _ in range(2))
    c = rng.standard_normal(40).astype(np.float32).view(np.uint32)
    rounding = hs.Stochastic(bits=20, seed=2**40 + 3, offset=7)
    for row in (hs.ExactDotAdd(terms=4, rounding=rounding), replace(TWO_STAGE, terms=4, rounding=rounding)):
        got = result(row, a, b, c)
        for i, (x, y, z) in enumerate(zip(a.tolist(), b.tolist(), c.tolist(), strict=True)):
            draws = [philox.word(rounding.seed, 7 + i, step) for step in range(2)]
            if isinstance(row, hs.ExactDotAdd):
                want = mfma.exact_chain(x, y, z, 4, draws=draws, bits=20)
            else:
                want = mfma.two_stage_chain(x, y, z, mfma.Stages(4, 24, 32, 24, 31), draws=draws, bits=20)
            assert got[i] == want
        assert (got != result(replace(row, rounding="rne"), a, b, c)).any()


def test_the_addend_is_flushed_once_per_instruction():
    # -1.25 * 2**-126 + 2**-126 is subnormal, flushed to -0; a block of -0 follows, in the same instruction or the next.
    a = np.array([2.0**-63, 0, -1, -1], np.float32)
    b = np.array([2.0**-63, 0, 0, 0], np.float32)
    c = np.float32(-1.25 * 2.0**-126)
    row = hs.PairwiseDotAdd(terms=2, depth=4, environment=FLUSHING, inputs=hs.BFLOAT16)
    for depth, sign in ((4, True), (2, False)):
        d = hs.dot(a, b, c, accumulator=replace(row, depth=depth))
        assert d == 0 and np.signbit(d) == sign


@pytest.mark.parametrize(
    "row", [hs.ExactDotAdd(terms=4), ROWS["pairwise 4"], TWO_STAGE], ids=lambda r: type(r).__name__
)
def test_shapes_of_operands(row):
    rng = np.random.default_rng(6)
    A, B = rng.standard_normal((3, 2, 5, 11)).astype(np.float16), rng.standard_normal((2, 11, 7)).astype(np.float16)
    C = rng.standard_normal(7).astype(np.float32)
    whole = hs.matmul(A, B, C, accumulator=row)
    assert whole.shape == (3, 2, 5, 7) and whole.dtype == np.float32
    # A last block that is not full is one filled with products +0.
    padded = hs.matmul(np.pad(A, [(0, 0)] * 3 + [(0, 5)]), np.pad(B, [(0, 0), (0, 5), (0, 0)]), C, accumulator=row)
    np.testing.assert_array_equal(padded.view(np.uint32), whole.view(np.uint32))
    for i, j in np.ndindex(3, 2):
        single = hs.matmul(A[i, j], np.asfortranarray(B[j]), C[None], accumulator=row)
        np.testing.assert_array_equal(single.view(np.uint32), whole[i, j].view(np.uint32))
        reverse = hs.matmul(A[i, j, ::-1], B[j, :, ::-1], C[::-1], accumulator=row)[::-1, ::-1]
        np.testing.assert_array_equal(reverse.view(np.uint32), whole[i, j].view(np.uint32))
    # No terms: C itself, subnormals and all; and no elements.
    tiny = np.array([[1, 0x80000000, 0x7F800000, 0x3F800001]], np.uint32).view(np.float32)
    none = hs.matmul(np.zeros((1, 0), np.float16), np.zeros((0, 4), np.float16), tiny, accumulator=row)
    np.testing.assert_array_equal(none.view(np.uint32), tiny.view(np.uint32))
    assert hs.matmul(A[0, 0, :0], B[0], accumulator=row).shape == (0, 7)
    # A binary16 C is widened.
    narrow = C.astype(np.float16)
    np.testing.assert_array_equal(
        hs.matmul(A, B, narrow, accumulator=row), hs.matmul(A, B, narrow.astype(np.float32), accumulator=row)
    )
    ones = np.ones(11, np.float16)
    np.testing.assert_array_equal(hs.sum(A, axis=3, accumulator=row), hs.matmul(A, ones, accumulator=row))


def test_nan_and_infinity_stay_through_later_blocks():
    ones = np.ones(24, np.float16)
    for row in (hs.ExactDotAdd(terms=4), ROWS["pairwise 4"], TWO_STAGE):
        for position in (0, 9, 23):
            a = ones.copy()
            a[position] = np.nan
            assert hs.dot(a, ones, accumulator=row).view(np.uint32) == 0x7FC00000
            a[position] = -np.inf
            assert hs.dot(a, ones, accumulator=row) == -np.inf
            assert hs.dot(a, ones, np.float32(np.inf), accumulator=row).view(np.uint32) == 0x7FC00000


def test_threads_change_no_bit():
    rng = np.random.default_rng(7)
    A, B = rng.standard_normal((64, 40)).astype(np.float16), rng.standard_normal((40, 64)).astype(np.float16)
    before = hs.get_num_threads()
    try:
        for row in (hs.ExactDotAdd(terms=4), ROWS["pairwise 4"], TWO_STAGE):
            found = set()
            for threads in (1, 2):
                hs.set_num_threads(threads)
                found.add(hs.matmul(A, B, accumulator=row).tobytes())
            assert len(found) == 1
    finally:
        hs.set_num_threads(before)


SCRIPT = """
import hashlib
import numpy as np
from tests.kernels.test_mfma import ROWS, case, result

def digest():
    found = hashlib.sha256()
    for name, row in ROWS.items():
        for seed, kind in enumerate(("near", "tiny", "special")):
            found.update(result(row, *case(row, kind, 5, 9, seed)).tobytes())
    return found.hexdigest()
"""


def test_plain_python_gives_the_same_bits():
    here: dict = {}
    exec(SCRIPT, here)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT + "\nprint(digest())"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == here["digest"](), run.stderr
