"""Explanations of dot products: equal to the product, block by block and step by step."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim import linalg
from halfsim.accumulators import FP16, Compensated, Exact, Pairwise, Sequential
from halfsim.explanation import explain_dot
from tests.explanation.cases import DEFINITIONS

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
        assert json.loads(steps.to_json())["result"]["bits"] == steps.result.bits
        if steps.flags is not None:
            assert steps.flags == linalg.dot.flagged(a, b, c, accumulator=accumulator).flags
        if None not in (*(x.value for x in (*steps.a, *steps.b)), steps.c.value):
            true = Fraction(float(c)) + sum(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b, strict=True))
            assert steps.exact == true
            assert steps.error is None or steps.error == Fraction(float(want)) - true
        check_chain(steps)


def check_chain(steps: Any) -> None:
    """Blocks by their definition; chains link, and each step is its operation."""
    row = steps.accumulator
    for number, block in enumerate(steps.blocks):
        assert (block.number, block.first, len(block.terms)) == (
            number,
            number * row.terms,
            block.last - block.first + 2,
        )
        exponents = [term.alignment for term in block.terms if term.alignment is not None]
        assert block.largest_exponent == max([row.zero_exponent, *exponents])
        unit = Fraction(2) ** (block.largest_exponent - row.fraction_bits)
        for term in block.terms:
            if term.value is not None:
                assert term.units == math.trunc(term.value / unit)
                assert term.lost == term.value - term.units * unit
        assert block.total == sum(term.units for term in block.terms)
        if block.exact is not None:
            assert block.exact.value == block.total * unit
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


def test_what_a_tensor_core_loses() -> None:
    a, b = np.float16([4096, 4096, 0.25]), np.float16([2048, -2048, 1])
    lost = {
        gpu: [float(term.lost) for term in explain_dot(a, b, accumulator=f"{gpu}:f32").blocks[0].terms]
        for gpu in ("v100", "a100", "h100")
    }
    # 2**23 is the largest term: a unit is 1, 1/2 and 1/4.
    assert lost == {"v100": [0, 0, 0, 0.25], "a100": [0, 0, 0, 0.25], "h100": [0, 0, 0, 0]}
    text = str(explain_dot(a, b, accumulator="a100:f32"))
    for fact in ("largest exponent 23", "unit 2^-1", "0.5 unit", "16777216", "terms cut by roundTowardZero"):
        assert fact in text


def test_what_a_chain_loses() -> None:
    steps = explain_dot(np.float16([2048, 1]), np.float16([1, 1]), accumulator=FP16)
    assert [step.operation for step in steps.steps] == ["fma", "fma"]
    assert steps.steps[1].decision is not None
    assert "a tie" in steps.steps[1].decision.reason
    assert (steps.exact, steps.error) == (2049, -1)


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
