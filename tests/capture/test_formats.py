"""Operands in bfloat16, TF32 and FP8: patterns, coverage classes, and ladders that measure a row they do not know."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.capture.ladders import ladders, rungs
from halfsim.capture.matrix import FP8_PAIRS, MATRIX_INSTRUCTIONS
from halfsim.capture.model import tensor_core
from halfsim.capture.tiles import CLASSES, chains, tiles
from halfsim.capture.words import bits, decode, drawn, encode, storage
from tests.capture.machine import FORMATS, numbers

SHAPES = {"bf16": (16, 8, 16), "tf32": (16, 8, 8), "e4m3": (16, 8, 32), "e5m2": (16, 8, 32)}
PAIRS = (("bf16", "bf16"), ("tf32", "tf32"), *FP8_PAIRS)
# Instructions with a row, one per rule: what measures F, L, the format of the result and the exponent of zeros.
KNOWN = [
    ("mma.m16n8k16.bf16.f32", (8, 0)),
    ("mma.m16n8k16.bf16.f32", (9, 0)),
    ("mma.m16n8k8.tf32.f32", (8, 0)),
    ("mma.m16n8k8.tf32.f32", (9, 0)),
    ("mma.m16n8k4.tf32.f32", (9, 0)),
    ("mma.m16n8k32.e4m3.f32", (8, 9)),
    ("mma.m16n8k32.e5m2-e4m3.f16", (8, 9)),
    ("mma.m16n8k16.e5m2.f32", (8, 9)),
    ("wgmma.m64n8k16.bf16.f32", (9, 0)),
    ("wgmma.m64n8k8.tf32.f32", (9, 0)),
    ("wgmma.m64n8k32.e4m3-e5m2.f32", (9, 0)),
    ("wgmma.m64n8k32.e5m2.f16", (9, 0)),
]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_pattern_is_decoded_as_others_do_and_encoded_back(kind: str) -> None:
    every = np.arange(1 << FORMATS[kind].width) << (bits(kind) - FORMATS[kind].width)
    words = every.astype(storage(kind))
    values = decode(kind, words)
    assert np.array_equal(values, numbers(kind, words), equal_nan=True)
    finite = np.isfinite(values)
    assert np.array_equal(encode(kind, values[finite]), words[finite])


@pytest.mark.parametrize("kind", FORMATS)
def test_encoding_rounds_to_the_nearest_and_never_leaves_the_numbers(kind: str) -> None:
    fmt, rng = FORMATS[kind], np.random.default_rng(3)
    values = np.concatenate([np.ldexp(rng.standard_normal(999), rng.integers(-6, 7, 999)), [1e300, -1e300, 1e-300]])
    got = decode(kind, encode(kind, values)).astype(np.float64)
    assert (
        np.isfinite(got).all() and abs(got).max() == fmt.largest and (got[-3:] == [fmt.largest, -fmt.largest, 0]).all()
    )
    inside = abs(values) < fmt.largest
    wanted = hs.convert(values[inside], fmt)
    assert np.array_equal(got[inside], wanted.astype(np.float64))


def test_numbers_are_drawn_from_the_exponents_asked_for() -> None:
    for kind, fmt in FORMATS.items():
        inside = decode(kind, drawn(np.random.default_rng(1), kind, (4096,), -2, 3))
        assert (np.frexp(inside)[1].min(), np.frexp(inside)[1].max()) == (-1, 4)
        assert np.isfinite(decode(kind, drawn(np.random.default_rng(1), kind, (4096,), -999, 999))).all()
        tiny = decode(kind, drawn(np.random.default_rng(1), kind, (4096,), fmt.emin - 1, fmt.emin - 1))
        assert abs(tiny).max() < fmt.smallest_normal


def product(
    row: hs.FusedDotAdd, inputs: tuple[str, str], operands: dict[str, Any], output: str, k: int | None = None
) -> Any:
    A, B = (numbers(kind, operands[name]) for kind, name in zip(inputs, "AB", strict=True))
    C = operands[f"C.{output}"].view(np.float32 if output == "f32" else np.float16)
    D = hs.matmul(A[:, :, :k], B[:, :k], C, accumulator=row)
    return D.view(np.uint32 if output == "f32" else np.uint16)


@pytest.mark.parametrize("inputs", PAIRS, ids="-".join)
def test_classes_hold_what_they_are_called(inputs: tuple[str, str]) -> None:
    operands = tiles(1, SHAPES[inputs[0]], 8, inputs=inputs)
    of = {name: operands["coverage"] == index for index, name in enumerate(CLASSES)}
    with np.errstate(invalid="ignore"):  # signaling NaNs
        A, B = (numbers(kind, operands[name]).astype(np.float64) for kind, name in zip(inputs, "AB", strict=True))
    assert operands["A"].dtype == storage(inputs[0]) and np.unique(operands["coverage"]).size == len(CLASSES)
    for matrix, kind, low in ((A, inputs[0], 0.5), (B, inputs[1], 0.05)):
        fmt = FORMATS[kind]
        assert np.isnan(matrix[of["specials"]]).any() and np.isfinite(matrix[of["finite-bits"]]).all()
        assert np.isinf(matrix[of["specials"]]).any() == (kind != "e4m3")
        assert np.isnan(matrix[of["random-bits"]]).any()
        assert (abs(matrix[of["subnormal"]]) < fmt.smallest_normal).mean() > low
        carry = abs(matrix[of["carry"]])
        assert carry.max() == 2 - 2.0 ** (1 - fmt.precision) and (carry > 1.4).all()
    with np.errstate(all="ignore"):
        terms = A[..., None] * B[:, None]
    parts = terms[of["cancellation"]]
    assert (abs(parts.sum(2)) < abs(parts).max(2) / 4).mean() > 0.5
    signs = A[of["signed-zeros"]]
    assert (signs[signs == 0].size > 0.9 * signs.size) and np.signbit(signs).any() and not np.signbit(signs).all()
    limit = 2.0**128 if inputs[0] in ("bf16", "tf32") else 65520.0
    totals = abs(np.clip(terms[of["overflow"]].sum(2), -1e300, 1e300))
    assert (totals > limit).any() and (totals < limit).any()


@pytest.mark.parametrize("inputs", PAIRS, ids="-".join)
def test_chains_stop_at_whole_instructions(inputs: tuple[str, str]) -> None:
    m, n, k = SHAPES[inputs[0]]
    made = chains(1, (m, n, k), 128, inputs=inputs, addends=("f32",))
    assert set(made) == {"A", "B", "C.f32", "K"} and made["K"][0] == k and made["K"][-1] == 128
    assert made["A"].shape == (2, m, 128) and made["B"].shape == (2, 128, n)


def neighbours(row: hs.FusedDotAdd) -> dict[str, hs.FusedDotAdd]:
    changed = {
        "one fraction bit fewer": {"fraction_bits": row.fraction_bits - 1},
        "one fraction bit more": {"fraction_bits": row.fraction_bits + 1},
        "half the terms": {"terms": row.terms // 2},
        "rounded terms": {"align": "rne"},
        "floored terms": {"align": "rdn"},
        "another rounding": {"rounding": "rna" if row.output == hs.BINARY16 else "rne"},
        "zeros one lower": {"zero_exponent": row.zero_exponent - 1},
        "zeros one higher": {"zero_exponent": row.zero_exponent + 1},
    }
    if row.output.width == 22:
        changed["a whole binary32 result"] = {"output": hs.BINARY32}
    return {name: replace(row, **change) for name, change in changed.items()}


# With FP8 factors and a binary32 result, no block is so small that a zero term's exponent counts; the smallest product
# of two E4M3 numbers, 2^-18, is above what it does to binary16 results too, and E5M2's 2^-32 above the unit it sets.
def blind(inputs: tuple[str, str], row: hs.FusedDotAdd, name: str) -> bool:
    return name.startswith("zeros") and inputs[0] in ("e4m3", "e5m2")


@pytest.mark.parametrize(("name", "capability"), KNOWN)
def test_operands_tell_a_row_from_its_neighbours(name: str, capability: tuple[int, int]) -> None:
    item = MATRIX_INSTRUCTIONS[name]
    row, shape = tensor_core(item, capability), (16, 8, item.k)
    assert row is not None
    sets = (tiles(1, shape, 4, inputs=item.inputs), ladders(item.inputs, item.output, shape))
    answers = [product(row, item.inputs, operands, item.output) for operands in sets]
    for change, other in neighbours(row).items():
        same = [
            np.array_equal(answer, product(other, item.inputs, operands, item.output))
            for answer, operands in zip(answers, sets, strict=True)
        ]
        assert same == [True, True] if blind(item.inputs, row, change) else not all(same), change


def survivors(names: list[str], D: Any, pattern: str) -> dict[int, bool]:
    """Which rungs of a ladder are not lost, by the number in their names."""
    found = ((re.fullmatch(pattern, name), word) for name, word in zip(names, D, strict=True))
    return {int(match[1]): bool(word) for match, word in found if match}


@pytest.mark.parametrize(("name", "capability"), KNOWN)
def test_ladders_measure_the_row(name: str, capability: tuple[int, int]) -> None:
    """Read off the results alone: fraction bits, and the products per block."""
    item = MATRIX_INSTRUCTIONS[name]
    row, shape = tensor_core(item, capability), (item.m, item.n, item.k)
    assert row is not None
    operands = ladders(item.inputs, item.output, shape)
    D = product(row, item.inputs, operands, item.output)
    assert (D[:, :1, :1] == D).all(), "every lane answers the same question"
    names, D = [rung.name for rung in rungs(item.inputs, item.output, 2 * item.k)], D[:, 0, 0]
    kept = survivors(names, D, r"fraction bits: 2\^(-?\d+) beside 2\^14 - 2\^14")
    assert 14 - min(power for power, alive in kept.items() if alive) == row.fraction_bits
    normalised = survivors(names, D, r"unnormalised product exponent: 2\^(-?\d+) beside 144 - 144")
    assert 6 - min(power for power, alive in normalised.items() if alive) == row.fraction_bits
    blocks = survivors(names, D, r"terms per block: 2\^14 at k0, 2\^-12 at k(\d+), C = -2\^14")
    inside = [k for k, alive in blocks.items() if not alive]
    assert inside == [k for k in blocks if k < min(row.terms, item.k)] and any(blocks.values())


def test_ladders_see_what_is_cut_from_an_fp8_result() -> None:
    item = MATRIX_INSTRUCTIONS["wgmma.m64n8k32.e4m3.f32"]
    row = tensor_core(item, (9, 0))
    assert row is not None
    names = [rung.name for rung in rungs(item.inputs, "f32", 2 * item.k)]
    operands = ladders(item.inputs, "f32", (16, 8, item.k))
    for output, wanted in ((row.output, 15.75), (hs.BINARY32, 15.75 + 2.0**-13)):
        D = product(replace(row, output=output), item.inputs, operands, "f32", item.k).view(np.float32)
        assert D[names.index("result of 17 bits, positive"), 0, 0] == wanted
        assert D[names.index("result of 17 bits, negative"), 0, 0] == -wanted


@pytest.mark.parametrize("inputs", PAIRS, ids="-".join)
def test_no_experiment_is_lost_to_a_format(inputs: tuple[str, str]) -> None:
    """Experiments whose numbers a format has not are left out; these must stay."""
    names = {rung.name for rung in rungs(inputs, "f32", 2 * SHAPES[inputs[0]][2])}
    assert {"NaN factor", "largest carry", "C = 3fffffff alone", "result of 16 bits, negative"} <= names
    assert {f"fraction bits: 2^{14 - j} beside 2^14 - 2^14" for j in (12, 13, 14, 23, 24, 25, 26)} <= names
    assert ("Inf - Inf" in names) == (inputs[0] != "e4m3")
    assert ("2^254 alone" in names) == (inputs[0] in ("bf16", "tf32"))
    if inputs[0] not in ("bf16", "tf32"):
        narrow = {rung.name for rung in rungs(inputs, "f16", 64)}
        assert {"tie to even", "odd tie to even", "65504 and 16", "-2^-18 alone, C = 0"} <= narrow
