"""The operands tell rival models apart, and the named experiments say what the literature says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.capture import elements
from halfsim.capture.experiments import EXPERIMENTS, experiments
from halfsim.capture.tiles import CLASSES, chains, tiles

SHAPE = (16, 8, 16)
# Values of D, published or worked out by hand, by experiment: Volta, Turing to Ada, Hopper and later.
PUBLISHED = {
    "f32": {
        "cancel": (0x00000000, 0xBF000000, 0xBF400000),
        "unnormalised product exponent": (0x34000000, 0x34400000, 0x34600000),
        "truncation, not floor": (0x3F800000, 0x3F7FFFFF, 0x3F7FFFFE),
        "subnormal factor has exponent -14": (0x00000000, 0x2C800000, 0x2CC00000),
        "chain: 2^25, then a block with -2^25 and 1": (0x40000000, 0x00000000, 0x40400000),
        "terms per block: 8192*4096 at k0, 1 at k4, C = -2^25": (0x3F800000, 0x00000000, 0x3F800000),
        "terms per block: 8192*4096 at k0, 1 at k8, C = -2^25": (0x3F800000, 0x3F800000, 0x3F800000),
        "RZ result, negative": (0xBF800001, 0xBF800001, 0xBF800001),
        "zero product does not raise E": (0x27800000, 0x27800000, 0x27800000),
        "all -0": (0, 0, 0),
        "0 * Inf": (0x7FFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF),
        "C = FLT_MAX absorbs": (0x7F7FFFFF, 0x7F7FFFFF, 0x7F7FFFFF),
        "largest carry": (0x4283E000, 0x4283E000, 0x4283E001),
        "subnormal C passes": (0x80000001, 0x80000001, 0x80000001),
        "more than half a unit is cut": (0x00000000, 0x33800000, 0x33C00000),
        "terms per block: 8192*8192 at k0, 1 at k4, C = -2^26": (0x3F800000, 0x00000000, 0x00000000),
        "RZ result above 2": (0x40000001, 0x40000001, 0x40000001),
        "terms per block: 8192*8192 at k0, 1 at k8, C = -2^26": (0x3F800000, 0x3F800000, 0x00000000),
        "Inf + C = -Inf": (0x7FFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF),
    },
    "f16": {
        "tie to even": (0x3C00, 0x3C00, 0x3C00),
        "tie broken by a sticky term": (0x3C01, 0x3C01, 0x3C01),
        "65504 + 16": (0x7C00, 0x7C00, 0x7C00),
        "65504 + 15.99": (0x7BFF, 0x7BFF, 0x7BFF),
        "subnormal result": (0x0003, 0x0003, 0x0003),
        "2^-25 ties to 0": (0, 0, 0),
        "NaN C": (0x7FFF, 0x7FFF, 0x7FFF),
        "sticky at 2^-23/2^-24/2^-25": (0x3C00, 0x3C01, 0x3C01),
        "sticky term just below": (0x3C00, 0x3C00, 0x3C01),
        "chain rounds per block": (0x6800, 0x6800, 0x6801),
        "far overflow cancels inside a block": (0x5800, 0x5A00, 0x5A00),
        "overflow between blocks": (0x7C00, 0x7C00, 0x0000),
        "floor: 2^-25 + 2^-42": (0x0001, 0x0001, 0x0001),
        "floor: 2^-25 + 2^-44": (0x0000, 0x0001, 0x0001),
        "floor: 2^-25 + 2^-45": (0x0000, 0x0000, 0x0001),
        "floor: 2^-25 + 2^-43": (0x0000, 0x0001, 0x0001),
        "floor: 2^-25 + 2^-46": (0x0000, 0x0000, 0x0001),
        "floor: 2^-25 + 2^-47": (0x0000, 0x0000, 0x0000),
        "-2^-26 rounds to zero: which sign": (0x0000, 0x0000, 0x0000),
        "more than half a unit is cut": (0x0000, 0x0010, 0x0018),
        "truncation at a tie, not floor": (0x3C02, 0x3C02, 0x3C02),
        "overflow between blocks of four": (0x7C00, 0x0000, 0x0000),
        "product above 2, sticky at 2^-25": (0x4080, 0x4080, 0x4081),
        "subnormal C keeps e = -14": (0x0000, 0x0000, 0x0000),
    },
}


def product(operands: dict[str, np.ndarray], kind: str, row: hs.FusedDotAdd) -> np.ndarray:
    C = operands[f"C.{kind}"].view(np.float32 if kind == "f32" else np.float16)
    D = hs.matmul(operands["A"].view(np.float16), operands["B"].view(np.float16), C, accumulator=row)
    return D.view(np.uint32 if kind == "f32" else np.uint16)


@pytest.mark.parametrize("kind", ["f32", "f16"])
def test_experiments_are_the_published_ones(kind: str) -> None:
    operands = experiments(kind, SHAPE)
    results = [product(operands, kind, hs.tensorcores.row(gpu, kind)) for gpu in ("v100", "a100", "h100")]
    assert set(PUBLISHED[kind]) <= set(EXPERIMENTS[kind])
    for name, wanted in PUBLISHED[kind].items():
        for result, word in zip(results, wanted, strict=True):
            assert (result[EXPERIMENTS[kind].index(name)] == word).all(), name


NEIGHBOURS = {
    "one fraction bit fewer": lambda row: replace(row, fraction_bits=row.fraction_bits - 1),
    "one fraction bit more": lambda row: replace(row, fraction_bits=row.fraction_bits + 1),
    "half the terms": lambda row: replace(row, terms=row.terms // 2),
    "rounded terms": lambda row: replace(row, align="rne"),
    "floored terms": lambda row: replace(row, align="rdn"),
    "another rounding": lambda row: replace(row, rounding="rna" if row.output == hs.BINARY16 else "rne"),
}


@pytest.mark.parametrize("change", NEIGHBOURS)
@pytest.mark.parametrize("kind", ["f32", "f16"])
@pytest.mark.parametrize("gpu", ["a100", "h100"])
def test_tiles_tell_a_row_from_its_neighbours(gpu: str, kind: str, change: str) -> None:
    operands, row = tiles(1, SHAPE, 20), hs.tensorcores.row(gpu, kind)
    differs = product(operands, kind, row) != product(operands, kind, NEIGHBOURS[change](row))
    assert differs.any()


@pytest.mark.parametrize("gpu", ["a100", "h100"])
def test_tiles_and_experiments_tell_zero_exponents_apart(gpu: str) -> None:
    row = hs.tensorcores.row(gpu, "f16")
    for step in (-1, 1):
        other = replace(row, zero_exponent=row.zero_exponent + step)
        for operands in (tiles(1, SHAPE, 20), experiments("f16", SHAPE)):
            assert (product(operands, "f16", row) != product(operands, "f16", other)).any()


def test_classes_hold_what_they_are_called() -> None:
    operands, row = tiles(1, SHAPE, 20), hs.tensorcores.row("a100", "f16")
    D = product(operands, "f16", row).view(np.float16)
    of = {name: operands["coverage"] == index for index, name in enumerate(CLASSES)}
    A = operands["A"].view(np.float16)
    assert np.isnan(D[of["specials"]]).any() and np.isinf(D[of["specials"]]).any()
    assert np.isinf(D[of["overflow"]]).any() and np.isfinite(D[of["overflow"]]).any()
    assert (D[of["signed-zeros"]] == 0).any() and np.signbit(A[of["signed-zeros"]]).any()
    assert np.isfinite(A[of["finite-bits"]]).all() and np.isnan(A[of["random-bits"]]).any()
    assert (np.abs(A[of["subnormal"]]) < 2**-14).mean() > 0.5
    tiny = D[of["zero-exponent"]]
    assert (np.abs(tiny) <= 2**-23).all() and (tiny == 0).any() and (tiny != 0).any()
    assert np.unique(operands["coverage"], return_counts=True)[1].tolist() == [20] * len(CLASSES)


def test_the_seed_decides_the_operands() -> None:
    assert all(
        np.array_equal(x, y) for x, y in zip(tiles(1, SHAPE, 2).values(), tiles(1, SHAPE, 2).values(), strict=True)
    )
    assert not np.array_equal(tiles(1, SHAPE, 2)["A"], tiles(2, SHAPE, 2)["A"])


def test_chains_reach_every_length() -> None:
    made = chains(1, SHAPE, 4096)
    assert made["K"].tolist() == [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
    assert made["A"].shape == (2, 16, 4096) and np.unique(made["A"]).size > 1000


def test_pairs_meet_cancel_and_tie() -> None:
    pair = elements.tuples(1, 2, 16384)
    assert pair["a"].size == 16384
    _, flags = hs.add.flagged(pair["a"].view(np.float16), pair["b"].view(np.float16))
    assert all((flags & flag).any() for flag in (hs.Flags.inexact, hs.Flags.overflow, hs.Flags.invalid))
    a, b = (pair[name].view(np.float16) for name in "ab")
    differ = hs.to_bits(hs.add(a, b)) != hs.to_bits(hs.add(a, b, rounding="rna"))
    assert differ.sum() > 50  # ties
    kind = pair["coverage"] == elements.CLASSES.index("cancellation")
    with np.errstate(all="ignore"):
        assert (np.abs(a + b) < np.abs(a) / 256)[kind].mean() > 0.9
    triple = elements.tuples(1, 3, 16384)
    x, y, z = (triple[name].view(np.float16) for name in "abc")
    fused = hs.to_bits(hs.fma(x, y, z))
    with np.errstate(all="ignore"):
        assert (fused != hs.to_bits(hs.add(hs.multiply(x, y), z))).sum() > 500  # one rounding, not two


def test_wide_sources_reach_ties_edges_and_specials() -> None:
    for kind, dtype in (("f32", np.float32), ("f64", np.float64)):
        a = elements.wide_floats(1, kind, 8192)["a"].view(dtype)
        assert a.size == 8192
        differ = hs.to_bits(hs.convert(a, hs.BINARY16)) != hs.to_bits(hs.convert(a, hs.BINARY16, rounding="rna"))
        assert differ.sum() > 100
        assert np.isnan(a).any() and np.isinf(a).any() and (a == 65520).any() and ((a != 0) & (np.abs(a) < 1e-30)).any()
    for kind in ("s32", "u64"):
        a = elements.from_integers(1, kind, 8192)["a"]
        assert a.dtype.itemsize * 8 == int(kind[1:]) and {0, 1, 65520, 2049} <= set(a.tolist())
