"""Comparisons of accumulators: the results are the products', the errors those of exact arithmetic."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.explanation import compare_dot
from halfsim.explanation.values import ulp
from halfsim.tensorcores import SUMS, TABLE
from tests.explanation.cases import fraction
from tests.oracles import rational

NAMES = [*SUMS, "v100:f32", "a100:f32", "h100:f32", "v100:f16", "a100:f16", "h100:f16"]
NAMES += ["mi100:f32", "mi250x:f32", "mi300x:f32"]
FORMATS = {"binary16": hs.BINARY16, "binary32": hs.BINARY32}


def ulp_by_neighbours(value: Fraction, fmt: hs.Format) -> Fraction:
    """Distance of the two numbers around a real, found by rounding it toward zero; of the last two beyond them."""
    below = rational.round_fraction(abs(value), fmt, "rtz")[0]
    below -= rational.decode(below + 1, fmt).kind != "finite"
    return rational.decode(below + 1, fmt).value - rational.decode(below, fmt).value


@pytest.mark.parametrize("fmt", [hs.BINARY16, hs.BINARY32, hs.E4M3], ids=lambda fmt: fmt.name)
def test_ulp_is_the_distance_of_neighbours(fmt: hs.Format) -> None:
    rng = np.random.default_rng(1)
    values = [Fraction(int(n), int(d)) for n, d in rng.integers(1, 10**9, (200, 2))]
    values += [value * Fraction(2) ** int(e) for value in values[:100] for e in rng.integers(-160, 130, 2)]
    values += [Fraction(2) ** e + s * Fraction(1, 2**300) for e in range(-26, 17) for s in (-1, 0, 1)]
    values += [Fraction(0), Fraction(fmt.largest), Fraction(fmt.largest) * 3, Fraction(fmt.smallest_normal)]
    for value in values:
        assert ulp(value, fmt) == ulp(-value, fmt) == ulp_by_neighbours(value, fmt), value


@pytest.mark.parametrize("kind", ["normal", "wide", "patterns"])
def test_every_row_is_the_product_and_its_error(kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    for size in (1, 7, 16, 40):
        if kind == "patterns":
            a, b = (hs.from_bits(rng.integers(0, 65536, size)) for _ in range(2))
        else:
            spread = 2.0 ** rng.integers(-14, 8, size) if kind == "wide" else 1
            a, b = (np.float16(rng.normal(size=size) * spread) for _ in range(2))
        c = np.float32(rng.normal()) if size % 2 else np.float16(rng.normal())
        compared = compare_dot(a, b, c, accumulators=NAMES)
        values = [fraction(bits) for bits in (*hs.to_bits(a), *hs.to_bits(b))]
        finite = None not in values
        if finite:
            true = Fraction(float(c)) + sum(x * y for x, y in zip(values[:size], values[size:], strict=True))
            assert compared.exact == true
        for name, row in zip(NAMES, compared.rows, strict=True):
            result = hs.dot(a, b, c, accumulator=name)
            word = result.view(np.uint16 if result.dtype == np.float16 else np.uint32)
            assert (row.name, row.result.bits) == (name, int(word))
            fmt = FORMATS[row.result.format]
            if not finite or not np.isfinite(result):
                assert row.error is row.ulps is None
                continue
            assert row.error == Fraction(float(result)) - true
            assert row.ulps == row.error / ulp_by_neighbours(true, fmt)
            if name.startswith("exact"):
                assert abs(row.ulps) <= Fraction(1, 2)
                assert (row.first_loss is None) == (row.error == 0)
            if row.error:
                assert row.first_loss is not None
            if row.flags is not None:
                assert row.flags == hs.dot.flagged(a, b, c, accumulator=name).flags
                assert (row.first_loss is None) == (hs.Flags.inexact not in row.flags)


@pytest.mark.parametrize("gpu", ["v100", "a100", "h100"])
def test_the_first_loss_is_the_first(gpu: str) -> None:
    """Blocks recomputed with fractions: the first whose terms are no multiples of its unit, or whose sum is rounded."""
    row = hs.tensorcores.row(gpu)
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(60):
        a, b = (np.float16(rng.integers(-9, 10, 32) * 2.0 ** rng.integers(-3, 9, 32)) for _ in range(2))
        found = compare_dot(a, b, accumulators=[row]).rows[0].first_loss
        want = None
        total = Fraction(0)
        for first in range(0, 32, row.terms):
            part = slice(first, first + row.terms)
            terms = [total, *(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a[part], b[part], strict=True))]
            exact = sum(terms)
            result = hs.dot(a[part], b[part], np.float32(float(total)), accumulator=row)
            total = Fraction(float(result))
            if total != exact:
                want = first // row.terms
                break
        # A loss of one term may make up for that of another: the first loss is never later.
        assert (found.number if found else 99) <= (99 if want is None else want)
        seen.add(want)
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("name", "a", "b", "c", "number", "where", "lost"),
    [
        ("a100:f32", [4096, 4096, 0.25], [2048, -2048, 1], 0, 0, "a[2]*b[2]", Fraction(1, 4)),
        ("v100:f32", [4096, 4096, 1], [2048, -2048, 1], 0.25, 0, "c", Fraction(1, 4)),
        ("h100:f32", [1, 2**-12], [1, 2**-12], 0, 0, "sum", Fraction(1, 1 << 24)),
        ("h100:f16", [65504], [2], 0, 0, "sum", None),
        ("v100:f32", [0] * 6 + [4096, 4096, 0.25], [1] * 6 + [2048, -2048, 1], 2**-3, 1, "d", Fraction(1, 8)),
        ("mi100:f32", [1, 2**-12], [1, 2**-13], 0, 0, "sum", Fraction(1, 1 << 25)),
        ("mi300x:f32", [4096, -4096], [2048, 2048], 0.25, 0, "c", Fraction(1, 4)),
        ("mi210:f32", [1, 2**-15], [1, 1], 0, 1, "multiply", Fraction(1, 1 << 15)),
        ("fp16", [2048, 1], [1, 1], 0, 1, "fma", Fraction(1)),
        ("exact:f16", [2048, 1], [1, 1], 0, 0, "sum", Fraction(1)),
    ],
)
def test_where_something_is_lost_first(
    name: str, a: list[float], b: list[float], c: float, number: int, where: str, lost: Fraction | None
) -> None:
    found = compare_dot(np.float16(a), np.float16(b), np.float32(c) if c else None, accumulators=[name]).rows[0]
    assert found.first_loss is not None
    loss = found.first_loss
    assert (loss.number, loss.where, loss.lost) == (number, where, lost)
    assert loss.in_block == (":" in name and not name.startswith(("mi2", "exact")))


@pytest.mark.parametrize("inputs", list(dict.fromkeys(entry.inputs for entry in TABLE)))
def test_every_row_of_the_table_compares(inputs: str) -> None:
    """Every row with factors of one format, on numbers that all of these formats have."""
    dtype = np.float16 if inputs == "f16" else np.float32
    a, b = dtype([256, 256, -0.5, -0.25, 2**-5]), dtype([256, -256, 1, 1, 2**-6])
    rows = [entry for entry in TABLE if entry.inputs == inputs]
    names = list(dict.fromkeys(f"{row.gpus[0]}:{row.output}:{row.instruction}:{row.inputs}" for row in rows))
    compared = compare_dot(a, b, np.float16(-0.125), accumulators=names)
    assert [row.name for row in compared.rows] == names
    assert compared.exact == Fraction(-7, 8) + Fraction(1, 2048)
    for row in compared.rows:
        result = hs.dot(a, b, np.float16(-0.125), accumulator=row.name)
        assert row.result.value == Fraction(float(result))
        assert row.error == row.result.value - compared.exact


def test_accumulators_are_rows_or_names() -> None:
    one = np.float16([1])
    compared = compare_dot(one, one, accumulators=[hs.FP32, "FP16", hs.Exact(rounding="rup"), hs.Sequential()])
    assert [row.name for row in compared.rows] == [
        "fp32",
        "FP16",
        "Exact, binary32, roundTowardPositive",
        "Sequential, binary32, roundTiesToEven",
    ]
    assert [(row.blocks, row.steps, row.first_loss) for row in compared.rows] == [*3 * [(0, 1, None)], (0, 2, None)]


def test_a_comparison_serialises_and_prints() -> None:
    a, b = np.float16([np.inf, 1]), np.float16([1, 1])
    for left in (a, np.float16([4096, 0.1])):
        compared = compare_dot(left, b, accumulators=NAMES)
        back = json.loads(compared.to_json(), parse_constant=pytest.fail)
        assert back == compared.to_dict()
        assert [row["result"]["bits"] for row in back["rows"]] == [row.result.bits for row in compared.rows]
        assert all(name in str(compared) for name in NAMES)


@pytest.mark.parametrize(
    ("accumulators", "error", "words"),
    [
        ("fp32", TypeError, "compare_dot: accumulators='fp32' is not a list"),
        ([], TypeError, "not a list of accumulators"),
        (["h101:f32"], ValueError, "compare_dot: unknown GPU 'h101'"),
        ([3], TypeError, "compare_dot: accumulator=3"),
    ],
)
def test_comparison_errors_say_what_to_do(accumulators: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        compare_dot(np.float16([1]), np.float16([1]), accumulators=accumulators)
