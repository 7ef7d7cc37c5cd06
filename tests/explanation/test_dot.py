"""Explanations of dot products: equal to the product, block by block and step by step."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim import linalg
from halfsim.accumulators import FP16, Compensated, Exact, Pairwise, Sequential
from halfsim.explanation import explain_dot
from halfsim.tensorcores import TABLE
from tests.explanation.cases import DEFINITIONS
from tests.oracles import rational

ACCUMULATORS = {
    "v100:f32": "v100:f32",
    "v100:f16": "v100:f16",
    "a100:f32": "a100:f32",
    "a100:f16": "a100:f16",
    "h100:f32": "h100:f32",
    "h100:f16": "h100:f16",
    "fused": FP16,
    "binary32": Sequential(),
    "directed": Sequential(format=hs.BINARY16, rounding="rup"),
    "stochastic": Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=12, seed=5)),
    "bfloat16": Sequential(format=hs.BFLOAT16),
    "pairwise": Pairwise(format=hs.BINARY16),
    "compensated": Compensated(format=hs.BINARY16),
    "exact": Exact(rounding="rtz"),
}


def vectors(rng: np.random.Generator, size: int, hard: bool) -> tuple[np.ndarray, np.ndarray, Any]:
    if hard:
        a, b = (hs.from_bits(rng.integers(0, 65536, size)) for _ in range(2))
        return a, b, hs.from_bits(int(rng.integers(0, 65536)))
    a, b = (np.float16(rng.normal(size=size) * 2.0 ** rng.integers(-12, 6, size)) for _ in range(2))
    return a, b, np.float16(rng.normal())


@pytest.mark.parametrize("hard", [False, True], ids=["normal", "patterns"])
@pytest.mark.parametrize("name", ACCUMULATORS)
def test_the_explained_dot_product_is_the_products(name: str, hard: bool) -> None:
    accumulator = ACCUMULATORS[name]
    rng = np.random.default_rng(len(name) + hard)
    for size in (0, 1, 2, 5, 16, 19, 33):
        a, b, c = vectors(rng, size, hard)
        steps = explain_dot(a, b, c, accumulator=accumulator)
        want = linalg.matmul(a[None, :], b[:, None], np.reshape(c, (1, 1)), accumulator=accumulator)[0, 0]
        word = {2: np.uint16, 4: np.uint32}[want.dtype.itemsize]
        assert steps.result.bits == int(np.array(want).view(word)), (name, size)
        assert str(steps)
        assert json.loads(steps.to_json(), parse_constant=pytest.fail)["result"]["bits"] == steps.result.bits
        if steps.flags is not None:
            assert steps.flags == linalg.dot.flagged(a, b, c, accumulator=accumulator).flags
        if None not in (*(x.value for x in (*steps.a, *steps.b)), steps.c.value):
            true = Fraction(float(c)) + sum(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b, strict=True))
            assert steps.exact == true
            assert steps.error is None or steps.error == Fraction(float(want)) - true
        check_chain(steps)


def check_chain(steps: Any) -> None:
    """Blocks by their definition; chains link, each step is its operation, and nothing is lost unsaid."""
    row = steps.accumulator
    for number, block in enumerate(steps.blocks):
        assert (block.number, block.first) == (number, number * row.terms)
        before = steps.blocks[number - 1].result if number else None
        assert before is None or block.addend.bits == before.bits
        check_block(block, row)
        for term in block.terms:
            if term.k is not None and term.value is not None:
                assert term.value == steps.a[term.k].value * steps.b[term.k].value
    for step in steps.steps:
        values = [operand.value for operand in step.operands]
        if step.exact is not None and step.operation in ("add", "subtract", "multiply", "fma"):
            assert step.exact.value == DEFINITIONS[step.operation](*values)
    if steps.blocks:
        assert steps.blocks[-1].result.value == steps.result.value
    elif steps.steps:
        # Kahan's recurrence ends with the two roundings of the error term.
        last = steps.steps[-3 if isinstance(row, Compensated) else -1]
        assert last.result.value == steps.result.value
    if steps.error is not None and not isinstance(row, Compensated):
        lost = [step.rounding_error or 0 for step in steps.steps]
        lost += [block.rounding_error - block.cut for block in steps.blocks]
        assert steps.error == sum(lost)


def check_block(block: Any, row: Any) -> None:
    """One block against exact fractions, whatever its kind."""
    unit = Fraction(2) ** block.unit
    two_stages = isinstance(row, hs.TwoStageDotAdd)
    indices = list(range(block.first, block.last + 1))
    assert [term.k for term in block.terms] == (indices if two_stages else [None, *indices])
    exponents = [term.alignment for term in block.terms if term.alignment is not None]
    if isinstance(row, hs.FusedDotAdd):
        assert block.largest_exponent == max([row.zero_exponent, *exponents])
        assert block.unit == block.largest_exponent - row.fraction_bits
    elif two_stages and exponents:
        assert block.largest_exponent == max(exponents)
        assert block.unit == block.largest_exponent - row.term_bits
    else:
        assert block.largest_exponent is None and not exponents
    for term in block.terms:
        if term.value is not None:
            assert term.units == math.trunc(term.value / unit)
            assert term.lost == term.value - term.units * unit
            assert abs(term.value) == term.significand * Fraction(2) ** term.exponent
            assert term.bits_lost == digits_below(term.value, unit)
            assert not term.lost or not isinstance(row, hs.ExactDotAdd)
        if term.alignment is not None:
            assert term.shift == block.largest_exponent - term.alignment >= 0
    assert block.total == sum(term.units for term in block.terms)
    final = check_stages(block, row) if two_stages else block.total * unit
    if block.cut is None:
        assert not block.loses
        return
    # What is rounded and what is lost are together the exact sum.
    whole = sum(term.value for term in block.terms) + (block.addend.value if two_stages else 0)
    assert final + block.cut == whole
    if block.exact is not None:
        assert block.exact.value == final
        mode = {"roundTowardZero": "rtz", "roundTiesToEven": "rne"}[row.rounding.name]
        assert block.result.value is None or block.result.value == rounded(final, row.output, mode)
    if block.normalisation is not None:
        assert 1 <= abs(final) / Fraction(2) ** (block.largest_exponent + block.normalisation) < 2
    assert block.rounding_error == (None if block.result.value is None else block.result.value - final)


def check_stages(block: Any, row: Any) -> Fraction:
    """Both operands of the second stage and the total are cut downward; return the total."""
    products, addend, total = block.stages
    for stage in block.stages:
        if stage.value is not None:
            assert stage.units == math.floor(stage.value / Fraction(2) ** stage.unit)
            assert stage.lost == stage.value - stage.units * Fraction(2) ** stage.unit
    assert products.unit - addend.unit == row.addend_bits - row.product_bits
    if total.value is not None:
        assert products.value == block.total * Fraction(2) ** block.unit
        assert addend.value == block.addend.value
        assert total.value == sum(stage.units * Fraction(2) ** stage.unit for stage in (products, addend))
    return Fraction(total.units * Fraction(2) ** total.unit)


def rounded(value: Fraction, fmt: hs.Format, mode: str) -> Fraction:
    return rational.decode(rational.round_fraction(value, fmt, mode)[0], fmt).value


UNITS = {
    f"{entry.gpus[0]}:{entry.output}:{entry.instruction}:{entry.inputs}": entry.accumulator
    for entry in {replace(entry.accumulator, source="", evidence=""): entry for entry in TABLE}.values()
}


def factors(rng: np.random.Generator, size: int, fmt: hs.Format, spread: int, special: bool) -> np.ndarray:
    """Numbers of a format, as float16 or float32 arrays: normal, subnormal, zeros, and infinities and NaNs."""
    values = rng.normal(size=size) * 2.0 ** rng.integers(-spread, spread + 1, size)
    values[rng.random(size) < 0.1] = -0.0
    values[rng.random(size) < 0.1] = fmt.smallest_subnormal * 3
    if special and size:
        values[rng.integers(size)] = rng.choice([np.inf, -np.inf, np.nan]) if fmt != hs.E4M3 else np.nan
    return hs.convert(np.float32(values), fmt, saturate=fmt == hs.E4M3)


@pytest.mark.parametrize("name", UNITS)
def test_every_matrix_unit_is_explained(name: str) -> None:
    row = UNITS[name]
    left, right = row.inputs
    rng = np.random.default_rng(len(name))
    for size, spread, special in ((0, 1, 0), (1, 3, 0), (5, 12, 0), (20, 40, 0), (20, 3, 1)):
        limit = min(spread, 7 if left.width == 8 else 99)
        a, b = (factors(rng, size, fmt, limit, bool(special)) for fmt in (left, right))
        c = rng.choice([np.float32(rng.normal()), np.float32(1e-40), np.float32(-0.0), np.float32(1e30)])
        if size % 2:
            c = np.float16(rng.normal())
        steps = explain_dot(a, b, c, accumulator=row)
        want = np.array(hs.dot(a, b, c, accumulator=row))
        assert steps.result.bits == int(want.view({2: np.uint16, 4: np.uint32}[want.itemsize])), (size, spread)
        assert steps.flags is None
        for fmt, side in zip(row.inputs, (steps.a, steps.b), strict=True):
            assert {len(datum.pattern) for datum in side} <= {2 + -(-fmt.width // 4)}
        check_chain(steps)
        assert str(steps) and json.loads(steps.to_json(), parse_constant=pytest.fail)


CUSTOM = [
    hs.FusedDotAdd(terms=3, fraction_bits=12, zero_exponent=-30, align="rne", output=hs.BINARY16, rounding="rup"),
    hs.FusedDotAdd(terms=5, fraction_bits=20, zero_exponent=-130, align="odd", rounding=hs.Stochastic(bits=7, seed=3)),
    hs.FusedDotAdd(terms=4, fraction_bits=13, zero_exponent=-130, inputs=(hs.E4M3, hs.E5M2)),
    hs.TwoStageDotAdd(
        terms=8, term_bits=20, product_bits=22, addend_bits=30, total_bits=20, align="rna", join="rtz", rounding="rdn"
    ),
    hs.ExactDotAdd(terms=3, rounding=hs.Stochastic(bits=7, seed=3)),
    hs.PairwiseDotAdd(terms=3, depth=6, rounding="rup"),
    hs.PairwiseDotAdd(terms=4, depth=8, environment=hs.Environment(flush_inputs=True)),
    hs.Sequential(format=hs.BINARY64, rounding="odd"),
    hs.Exact(format=hs.BFLOAT16),
]


@pytest.mark.parametrize("row", CUSTOM, ids=lambda row: type(row).__name__)
def test_rows_of_ones_own_lose_nothing_unsaid(row: Any) -> None:
    """Result minus exact sum is what blocks and steps say they lose, however terms are cut and sums rounded."""
    rng = np.random.default_rng(8)
    for size in (1, 7, 17):
        left, right = getattr(row, "inputs", (hs.BINARY16, hs.BINARY16))
        a, b = (factors(rng, size, fmt, 5, False) for fmt in (left, right))
        c = np.float32(rng.normal())
        steps = explain_dot(a, b, c, accumulator=row)
        want = np.array(hs.dot(a, b, c, accumulator=row))
        assert steps.result.bits == int(want.view(f"u{want.itemsize}"))
        lost = [step.rounding_error or 0 for step in steps.steps]
        lost += [block.rounding_error - block.cut for block in steps.blocks]
        assert steps.error == sum(lost)
        assert str(steps) and steps.to_markdown() and json.loads(steps.to_json(), parse_constant=pytest.fail)


def test_what_a_cdna2_flushes_is_lost() -> None:
    a, b = np.float16([1, 2**-15]), np.float16([1, 2])
    steps = explain_dot(a, b, np.float32(1e-40), accumulator="mi250x:f32")
    assert [(step.operation, step.result.decimal) for step in steps.steps if step.rounding_error] == [
        ("flush", "0"),
        ("multiply", "0"),
    ]
    assert steps.error == -(steps.c.value + Fraction(1, 2**14))
    assert "flushed" in str(steps)


def digits_below(value: Fraction, unit: Fraction) -> int:
    """Digits from the first to the last 1 of a binary fraction that lie below the unit, counted one by one."""
    if not value:
        return 0
    lowest = (value.numerator & -value.numerator).bit_length() - value.denominator.bit_length()
    digits = range(lowest, lowest + len(f"{abs(value.numerator):b}".rstrip("0")))
    return sum(1 for n in digits if Fraction(2) ** n < unit)


def test_what_a_tensor_core_loses() -> None:
    a, b = np.float16([4096, 4096, 0.25]), np.float16([2048, -2048, 1])
    lost = {
        gpu: [float(term.lost) for term in explain_dot(a, b, accumulator=f"{gpu}:f32").blocks[0].terms]
        for gpu in ("v100", "a100", "h100")
    }
    # 2**23 is the largest term: a unit is 1, 1/2 and 1/4.
    assert lost == {"v100": [0, 0, 0, 0.25], "a100": [0, 0, 0, 0.25], "h100": [0, 0, 0, 0]}
    text = str(explain_dot(a, b, accumulator="a100:f32"))
    for fact in (
        "largest exponent 23",
        "unit 2^-1",
        "16777216",
        "terms cut by roundTowardZero",
        "the terms lose 0x1p-2",
    ):
        assert fact in text
    row = next(line.split() for line in text.splitlines() if line.startswith("  2  "))
    # k, a, b, exact product, exponent, shift, units, bits lost, units lost
    assert row == ["2", "0x3400", "0.25", "0x3c00", "1", "0.25", "-2", "25", "0", "1", "0.5"]


def test_c_of_another_format_is_rounded_first() -> None:
    a, b = np.float16([1, 2]), np.float16([1, 1])
    steps = explain_dot(a, b, np.float32(1 + 2**-20), accumulator="h100:f16")
    assert [(step.operation, step.result.pattern) for step in steps.steps] == [("convert", "0x3c00")]
    assert (steps.exact, steps.error) == (4 + Fraction(1, 2**20), -Fraction(1, 2**20))
    assert steps.blocks[0].addend.pattern == "0x3c00"
    assert explain_dot(a, b, np.float32(1), accumulator="h100:f32").steps == ()


def test_infinite_terms_lose_nothing() -> None:
    infinite = explain_dot(np.float16([np.inf, 2**-14]), np.float16([1, 2**-14]), accumulator="h100:f32").blocks[0]
    assert (infinite.cut, infinite.loses, infinite.rounding_error) == (None, False, None)
    over = explain_dot(np.float16([65504]), np.float16([2]), accumulator="h100:f16").blocks[0]
    assert (over.cut, over.loses, over.rounding_error) == (0, True, None)


def test_what_a_chain_loses() -> None:
    steps = explain_dot(np.float16([2048, 1]), np.float16([1, 1]), accumulator=FP16)
    assert [step.operation for step in steps.steps] == ["fma", "fma"]
    assert steps.steps[1].decision is not None
    assert "a tie" in steps.steps[1].decision.reason
    assert (steps.exact, steps.error) == (2049, -1)


@pytest.mark.parametrize("accumulator", ["a100:f32", "h100:f16", "fp16", "compensated"])
def test_long_products_are_shown_in_part(accumulator: str) -> None:
    rng = np.random.default_rng(4)
    a, b = (np.float16(rng.normal(size=400)) for _ in range(2))
    steps = explain_dot(a, b, accumulator=accumulator)
    for text in (str(steps), steps.to_markdown()):
        assert text.count("\n") < 200
    every = steps.to_text(everything=True)
    parts = steps.blocks or steps.steps
    assert not re.search(r"\d+ more", every)
    assert every.count("\n") >= len(steps.blocks) * 20 + len(parts)
    # What is left out is counted: the numbers of the rows add up.
    rows = [line.split() for line in str(steps).splitlines() if re.match(r" *(\d+|\.\.\.)  ", line)][:40]
    rows = rows[: next(i for i, row in enumerate(rows) if row[0] == str(len(parts) - 1)) + 1]
    assert sum(int(row[1]) if row[0] == "..." else 1 for row in rows) == len(parts)
    losing = [i for i, part in enumerate(parts) if part.loses]
    assert str(losing[0]) in {row[0] for row in rows}


def test_equal_and_zero_products_are_one_line() -> None:
    zeros = explain_dot(np.float16([0, 3, -0.0, 0]), np.float16([5, 0, 6, 7]), accumulator="h100:f32")
    assert "3 more, zero" in str(zeros)
    a, b = np.zeros(16, np.float16), np.ones(16, np.float16)
    a[8:12] = 3
    lines = str(explain_dot(a, b, accumulator="h100:f32")).splitlines()
    assert [line.split()[:4] for line in lines if line.lstrip().startswith("...")] == [
        ["...7", "7", "more,", "zero"],
        ["...11", "3", "more,", "equal"],
        ["...15", "3", "more,", "zero"],
    ]


def test_a_nan_ends_the_sum() -> None:
    a = np.ones(40, np.float16)
    a[3] = np.nan
    steps = explain_dot(a, a, accumulator="a100:f32")
    assert len(steps.blocks) == 1
    assert "32 more product(s) cannot change it" in str(steps)


@pytest.mark.parametrize(
    ("a", "b", "c", "accumulator", "error", "words"),
    [
        ([1.0], np.float16([1]), None, "h100:f32", TypeError, "float16"),
        (np.float16([1]), np.float16([1, 2]), None, "h100:f32", ValueError, "one length"),
        (np.float16(1), np.float16(1), None, "h100:f32", ValueError, "vectors"),
        (np.float16([1]), np.float16([1]), 1.0, "h100:f32", TypeError, "c=1.0"),
        (np.float16([1]), np.float16([1]), None, "h101:f32", ValueError, "unknown GPU 'h101'"),
        (np.float16([1]), np.float16([1]), None, 3, TypeError, "accumulator=3"),
    ],
)
def test_dot_errors_say_what_to_do(
    a: Any, b: Any, c: Any, accumulator: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        explain_dot(a, b, c, accumulator=accumulator)
