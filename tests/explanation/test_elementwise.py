"""Explanations of operations and conversions: equal to the operation, and to exact rational arithmetic."""

from __future__ import annotations

import dataclasses
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.explanation import Explanation, explain
from halfsim.explanation.elementwise import operation_names
from tests.explanation.cases import DEFINITIONS, MODES, fraction, operands, rounding
from tests.oracles import corners

BEFORE = hs.Tininess.beforeRounding


AFTER = hs.Tininess.afterRounding


CASES = pytest.mark.parametrize("cases", [80, pytest.param(250, marks=pytest.mark.slow)])


ROUNDED = (*DEFINITIONS, "sqrt")


@CASES
@pytest.mark.parametrize("tininess", [AFTER, BEFORE], ids=["after", "before"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ROUNDED)
def test_the_explained_result_is_the_operations(name: str, mode: str, tininess: hs.Tininess, cases: int) -> None:
    operation = getattr(hs, name)
    environment = dataclasses.replace(hs.IEEE, tininess=tininess)
    columns = operands(operation.arity, cases, seed=MODES.index(mode) + 10 * len(name))
    want, flags = operation.flagged(
        *(hs.from_bits(column) for column in columns), rounding=rounding(mode), environment=environment
    )
    for i, row in enumerate(zip(*columns, strict=True)):
        steps = explain(
            name,
            *(hs.from_bits(bits) for bits in row),
            rounding=rounding(mode, offset=i),
            environment=environment,
        )
        shown = f"{name} {[hex(bits) for bits in row]} {mode}"
        assert steps.result.bits == hs.to_bits(want[i]), shown
        assert steps.flags == flags[i], shown
        check_digits(name, steps, row, shown)


def check_digits(name: str, steps: Explanation, row: tuple[Any, ...], shown: str) -> None:
    """The exact value by Fraction arithmetic, and the digits and facts that follow from it."""
    values = [fraction(bits) for bits in row]
    if steps.exact is None:
        assert steps.decision is None, shown
        return
    assert None not in values or (name == "remainder" and values[0] is not None), shown
    if name == "sqrt":
        square = values[0]
        low = Fraction(steps.exact.significand) * Fraction(2) ** steps.exact.exponent
        ulp = Fraction(2) ** (steps.exact.exponent)
        assert low**2 <= square < (low + ulp) ** 2, shown
        assert (steps.exact.value is None) == (low**2 != square), shown
    else:
        exact = values[0] if None in values else DEFINITIONS[name](*values)
        assert steps.exact.value == exact, shown
        assert bool(steps.exact.sign) == (exact < 0), shown
    digits = steps.decision
    if digits is None:
        assert steps.overflow or steps.flushed, shown
        return
    quantum = Fraction(2) ** digits.last_place
    discarded = Fraction(digits.guard << 31 | digits.rest, 1 << 32)
    if steps.exact.value is not None:
        scaled = abs(steps.exact.value) / quantum
        assert digits.kept == math.floor(scaled), shown
        assert digits.discarded == scaled - digits.kept, shown
        assert discarded <= digits.discarded < discarded + Fraction(1, 1 << 32), shown
        assert bool(digits.sticky) == (digits.discarded != discarded), shown
    result = fraction(steps.result.bits)
    if result is not None and not steps.overflow:
        assert abs(result) == (digits.kept + digits.up) * quantum, shown
    if digits.discarded != 0:
        assert digits.reason.endswith("up, away from zero" if digits.up else "down, toward zero"), shown
    else:
        assert (digits.up, digits.reason) == (False, "nothing is discarded: exact"), shown
    if steps.tiny is not None and steps.exact.value is not None:
        magnitude = abs(steps.exact.value)
        assert steps.tiny.before_rounding == (magnitude < Fraction(1, 1 << 14)), shown


@pytest.mark.parametrize("mode", ["rne", "rtz", "rdn", "rup", "rna", "odd"])
def test_tininess_facts_are_those_of_both_flags(mode: str) -> None:
    # All products of a number of [1, 2) and a subnormal that lie just below the smallest normal number, 2**-14.
    grid = np.meshgrid(np.arange(0x3C00, 0x4000), np.arange(0x0200, 0x0400))
    a, b = (column.ravel().astype(np.uint16) for column in grid)
    product = hs.from_bits(a).astype(np.float64) * hs.from_bits(b).astype(np.float64) * 2**14
    near = np.flatnonzero(np.abs(product - 1) < 2**-10)[::3]
    a, b = a[near], b[near]
    flush = dataclasses.replace(hs.IEEE, flush_results=True)
    x, y = hs.from_bits(a), hs.from_bits(b)
    after = hs.multiply.flagged(x, y, rounding=mode, environment=flush).flags
    early = dataclasses.replace(flush, tininess=BEFORE)
    before = hs.multiply.flagged(x, y, rounding=mode, environment=early).flags
    differ = 0
    for i in range(a.size):
        steps = explain("multiply", x[i], y[i], rounding=mode)
        assert steps.tiny is not None
        assert steps.tiny.after_rounding == bool(after[i] & hs.Flags.underflow)
        assert steps.tiny.before_rounding == bool(before[i] & hs.Flags.underflow)
        differ += steps.tiny.before_rounding != steps.tiny.after_rounding
    assert (differ > 0) == (mode in ("rne", "rna", "rup")), "other modes never round up to 2**-14"


def rows() -> list[str]:
    return [name for name in operation_names() if name != "convert"]


@CASES
@pytest.mark.parametrize("name", rows())
def test_every_operation_can_be_explained(name: str, cases: int) -> None:
    operation = getattr(hs, name)
    columns = operands(operation.arity, cases // 4, seed=3)
    values = [hs.from_bits(column) for column in columns]
    if operation.integers >= 0:
        values[operation.integers] = columns[operation.integers].astype(np.int64) % 64 - 32
    for environment in (hs.IEEE, hs.RISCV, hs.ARM, hs.X86, hs.CUDA, dataclasses.replace(hs.ARM, flush_inputs=True)):
        want, flags = operation.flagged(*values, environment=environment)
        for i in range(columns[0].size):
            steps = explain(operation, *(column[i] for column in values), environment=environment)
            bits = int(hs.to_bits(want[i])) if want.dtype == np.float16 else int(want[i])
            assert (steps.result.bits, steps.flags) == (bits, flags[i]), (name, [hex(c[i]) for c in columns])
            assert steps.operation == name
            assert len(steps.flag_reasons) == int(flags[i]).bit_count()
            assert str(steps).count("\n") >= 6


def test_results_and_operands_that_are_flushed() -> None:
    environment = dataclasses.replace(hs.IEEE, flush_inputs=True, flush_results=True)
    steps = explain("multiply", hs.from_bits(0x0400), hs.from_bits(0x3BFF), environment=environment)
    assert (steps.flushed, steps.decision, steps.result.bits) == (True, None, 0)
    assert steps.flags == hs.Flags.underflow | hs.Flags.inexact
    assert "flushes" in steps.outcome
    steps = explain("add", hs.from_bits(0x8001), hs.from_bits(0x3C00), environment=environment)
    assert [operand.flushed for operand in steps.operands] == [True, False]
    assert "read as zero" in str(steps)


def test_the_example_of_the_command_line() -> None:
    x = hs.from_bits(0x3C01)
    steps = explain("fma", x, x, hs.from_bits(0x8001), rounding="rtz")
    # (1 + 2**-10)**2 - 2**-24
    assert steps.exact is not None
    assert steps.exact.value == Fraction(1025, 1024) ** 2 - Fraction(1, 1 << 24)
    assert steps.decision is not None
    assert (steps.decision.last_place, steps.decision.kept, steps.decision.guard) == (-10, 1026, 0)
    assert steps.decision.discarded == Fraction(15, 16384)
    text = str(steps)
    for fact in ("0x3c02", "0x1.00800fp+0", "guard 0", "roundTowardZero", "down, toward zero", "inexact"):
        assert fact in text
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.parametrize(
    ("name", "bits", "words"),
    [
        ("add", (0x7C00, 0xFC00), "infinities of opposite signs"),
        ("multiply", (0x7C00, 0), "zero times infinity"),
        ("divide", (0x3C00, 0), "pole"),
        ("sqrt", (0xBC00,), "negative"),
        ("remainder", (0x3C00, 0), "by zero"),
        ("add", (0x7E01, 0), "a is a NaN"),
        ("fma", (0, 0x7E01, 0xFE00), "b and c are NaNs"),
        ("add", (0x3C00, 0xBC00), "cancel"),
        ("add", (0x8000, 0x8000), "zeros of one sign"),
        ("add", (0x7BFF, 0x7BFF), "overflow"),
        ("add", (0x7BFF, 0x4C00), "overflow"),
        ("multiply", (0x0001, 0x3800), "subnormal range"),
    ],
)
def test_the_case_is_named(name: str, bits: tuple[int, ...], words: str) -> None:
    assert words in explain(name, *map(hs.from_bits, bits)).outcome


def test_a_tie_is_called_a_tie() -> None:
    one, half_ulp = np.float16(1), np.float16(2**-11)
    even = explain("add", one, half_ulp)
    assert even.decision is not None
    assert "a tie, and the last kept bit is 0: down" in even.decision.reason
    odd = explain("add", hs.nextup(one), half_ulp)
    assert odd.decision is not None
    assert "a tie, and the last kept bit is 1: up" in odd.decision.reason
    away = explain("add", one, half_ulp, rounding="rna")
    assert away.decision is not None
    assert away.decision.reason == "roundTiesToAway: exactly half an ulp, a tie: up, away from zero"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("to", [hs.BINARY16, hs.BINARY32, hs.BFLOAT16, hs.TF32, hs.E5M2, hs.E4M3], ids=lambda f: f.name)
def test_conversions_between_formats(to: hs.Format, mode: str) -> None:
    values = corners.float_neighbours(np.float64, count=100)[:: 97 if mode == "rne" else 401]
    values = values[np.isfinite(values) & (values != 0)]
    _, flags = hs.convert.flagged(values, to, rounding=rounding(mode))
    got = hs.convert(values, to, rounding=rounding(mode)).astype(np.float64)
    for i, x in enumerate(values):
        steps = explain("convert", x, to, rounding=rounding(mode, offset=i))
        assert steps.exact is not None
        assert steps.exact.value == Fraction(float(x))
        assert steps.flags == flags[i]
        assert (float(steps.result.value) if steps.result.value is not None else None) == (
            got[i] if np.isfinite(got[i]) else None
        )


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_conversions_to_and_from_integers(dtype: type) -> None:
    column = operands(1, 200, seed=9)[0]
    want, flags = hs.convert.flagged(hs.from_bits(column), dtype, rounding="rup", exact=True)
    for i, bits in enumerate(column):
        steps = explain(hs.convert, hs.from_bits(bits), dtype, rounding="rup", exact=True)
        assert (steps.result.value, steps.flags) == (int(want[i]), flags[i])
    info = np.iinfo(dtype)
    for whole in (info.min, info.max, 1, 77):
        want, flags = hs.convert.flagged(dtype(whole), hs.BINARY16)
        steps = explain("convert", dtype(whole), hs.BINARY16)
        assert (steps.result.bits, steps.flags) == (hs.to_bits(want), flags)
        assert steps.exact is None or steps.exact.value == whole


@pytest.mark.parametrize("power", [0, 30, -30, 4096, -4097, 100_000, -100_000])
@pytest.mark.parametrize("number", [1.0, -1.5, 2.0**-24])
def test_far_powers_of_two_are_exact(number: float, power: int) -> None:
    steps = explain("scaleb", np.float16(number), power)
    assert steps.exact is not None
    assert steps.exact.value == Fraction(number) * Fraction(2) ** power
    assert steps.exact.value == (-1) ** steps.exact.sign * steps.exact.significand * Fraction(2) ** steps.exact.exponent
    head, _, tail = number.hex().replace("0000000000000", "0").partition("p")
    assert steps.exact.hexadecimal == f"{head.replace('.0', '').replace('8000000000000', '8')}p{int(tail) + power:+d}"
    assert steps.decision is None or steps.decision.discarded is not None
    if steps.decision is not None and not steps.overflow:
        kept = steps.decision.kept + steps.decision.discarded
        assert abs(steps.exact.value) == kept * Fraction(2) ** steps.decision.last_place
    assert json.loads(steps.to_json())["exact"]["hexadecimal"] == steps.exact.hexadecimal
    assert steps.exact.hexadecimal in str(steps)


@pytest.mark.parametrize(("power", "shown"), [(2**63 - 1, "9223372036854775807"), (-(2**63), "-9223372036854775808")])
def test_the_farthest_powers_are_shown_in_hexadecimal(power: int, shown: str) -> None:
    steps = explain("scaleb", np.float16(1), power)
    assert steps.exact is not None
    assert (steps.exact.value, steps.exact.hexadecimal) == (None, f"0x1p{'+' * (power > 0)}{shown}")
    assert steps.result.bits == hs.to_bits(hs.scaleb(np.float16(1), power))
    assert str(steps).count("\n") >= 6


def test_an_integer_out_of_range_is_not_called_exact() -> None:
    steps = hs.explain("convert", np.float16(300), np.int8, exact=True)
    assert (int(steps.result.bits), steps.flags) == (127, hs.Flags.invalid)
    assert "none of the target's" in steps.outcome
    assert "nothing is lost" not in str(steps)
