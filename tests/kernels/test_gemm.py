"""The loops of matrix products: vectorised against general, compiled against plain Python."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim import shapes
from halfsim.kernels import fused, product
from halfsim.kernels.product import Operands
from tests.oracles.corners import NANS, patterns

ONE = np.zeros(1, np.int64)
MODES = ("rne", "rtz", "rdn", "rup", "rna", "odd")


def block(terms, fraction_bits, zero_exponent, output):
    mode = "rtz" if output == hs.BINARY32 else "rne"
    return hs.FusedDotAdd(
        terms=terms, fraction_bits=fraction_bits, zero_exponent=zero_exponent, output=output, rounding=mode
    )


FLUSHING = hs.Environment(flush_inputs=True, flush_results=True)
VECTORISED = {
    "binary32": hs.FP32,
    "binary32 unfused": hs.Sequential(),
    **{
        f"binary32 {mode} {'fused' if fused else 'unfused'}": hs.Sequential(
            format=hs.BINARY32, rounding=mode, fused=fused
        )
        for mode, fused in (("rtz", True), ("rdn", True), ("rup", True), ("rdn", False))
        if platform.machine() in ("x86_64", "AMD64")
    },
    "block of two": hs.PairwiseDotAdd(terms=2, depth=8, environment=FLUSHING),
    "block of four": hs.PairwiseDotAdd(terms=4, depth=4, environment=FLUSHING),
    "block of four, results kept": hs.PairwiseDotAdd(terms=4, depth=16, environment=hs.Environment(flush_inputs=True)),
    **{
        f"binary16 {mode} {'fused' if fused else 'unfused'}": hs.Sequential(
            format=hs.BINARY16, rounding=mode, fused=fused
        )
        for mode in MODES
        for fused in (True, False)
    },
    **{
        f"binary16 {mode} {'fused' if fused else 'unfused'}, flushed": hs.Sequential(
            format=hs.BINARY16, rounding=mode, fused=fused, flush_to_zero=True
        )
        for mode, fused in (("rne", True), ("rne", False), ("rdn", True), ("odd", False))
    },
    **{
        f"binary16 stochastic {bits} {'fused' if fused else 'unfused'}": hs.Sequential(
            format=hs.BINARY16, fused=fused, rounding=hs.Stochastic(bits=bits, seed=2**64 - 5, offset=2**32 - 1000)
        )
        for bits, fused in ((13, True), (13, False), (1, True), (32, True))
    },
    "pairwise binary32": hs.Pairwise(),
    "compensated binary32": hs.Compensated(),
    "exact binary32": hs.Exact(),
    "exact binary16 rdn": hs.Exact(format=hs.BINARY16, rounding="rdn"),
    "exact binary32 stochastic": hs.Exact(rounding=hs.Stochastic(bits=20, seed=3)),
    **{
        f"{make.__name__} binary16 {mode}{', flushed' if flush else ''}": make(
            format=hs.BINARY16, rounding=mode, flush_to_zero=flush
        )
        for make in (hs.Pairwise, hs.Compensated)
        for mode, flush in [*((mode, False) for mode in MODES), ("rne", True), ("rup", True)]
    },
    **{
        f"block {terms}/{bits}/{zero} {output.name}": block(terms, bits, zero, output)
        for terms, bits, zero, output in [
            (4, 23, -131, hs.BINARY32),
            (4, 23, -19, hs.BINARY16),
            (8, 24, -132, hs.BINARY32),
            (8, 24, -20, hs.BINARY16),
            (8, 25, -133, hs.BINARY32),
            (16, 25, -133, hs.BINARY32),
            (16, 25, -21, hs.BINARY16),
            (30, 25, -133, hs.BINARY32),
            (1, 28, 5, hs.BINARY32),
            (5, 10, 3, hs.BINARY16),
            (37, 23, -40, hs.BINARY32),
            (100, 1, 31, hs.BINARY16),
            (8, 26, -96, hs.BINARY32),
        ]
    },
}


def words(rng, shape, kind):
    """Patterns of one kind."""
    sign = rng.integers(0, 2, shape) << 15
    if kind == "normal":
        return rng.standard_normal(shape).astype(np.float16).view(np.uint16)
    if kind == "finite":
        return rng.integers(0, 0x7C00, shape) | sign
    if kind == "subnormal":
        return rng.integers(0, 0x0C00, shape) | sign
    if kind == "corner":
        corner = patterns(level=1)
        return rng.choice(corner[(corner & 0x7C00) != 0x7C00], shape)
    plain = rng.integers(0x3000, 0x4800, shape) | sign
    special = rng.choice(np.concatenate([NANS, [0x7C00, 0xFC00, 0, 0x8000]]), shape)
    return np.where(rng.random(shape) < (0.002 if kind == "special" else 0), special, plain)


def operands(kind, rows, terms, columns, seed):
    rng = np.random.default_rng(seed)
    if kind == "cancelling":
        a, b = words(rng, (rows, terms), "plain"), words(rng, (terms, columns), "plain")
        a[:, 1::2] = a[:, ::2][:, : a[:, 1::2].shape[1]] ^ 0x8000
        b[1::2] = b[::2][: b[1::2].shape[0]] + rng.choice([0, 0, 1], b[1::2].shape)
    else:
        a, b = words(rng, (rows, terms), kind), words(rng, (terms, columns), kind)
    return a.astype(np.uint16), b.astype(np.uint16)


def addends(output, rows, columns, seed):
    """C of every kind, subnormal, infinite and NaN included."""
    rng = np.random.default_rng(seed)
    width = output.width
    wild = rng.integers(0, 1 << width, (rows, columns))
    dtype = f"f{width // 8}"
    plain = rng.standard_normal((rows, columns)).astype(dtype).view(f"u{width // 8}").astype(np.int64)
    tiny = rng.integers(0, 1 << (output.precision - 1), (rows, columns))
    special = rng.choice(np.array([np.inf, -np.inf, np.nan, -0.0], dtype).view(f"u{width // 8}"), (rows, columns))
    choice = rng.choice(4, (rows, columns), p=[0.3, 0.6, 0.08, 0.02])
    return np.choose(choice, [wild, plain, tiny, special.astype(np.int64)]).astype(f"u{width // 8}").view(dtype)


def both(accumulator, a, b, c):
    """(vectorised, general) patterns of one product."""
    chosen = product.plan(accumulator)
    assert chosen.fast is not None
    pair = Operands(a[None], b[None], ONE, ONE)
    storage = chosen.storage.patterns
    fast, _ = product.evaluate(chosen, pair, c.copy(), flagged=False)
    general, _ = product.evaluate(chosen._replace(fast=None), pair, c.copy(), flagged=False)
    return fast.reshape(-1).view(storage), general.reshape(-1).view(storage)


# Shapes that leave part panels, blocks and unrolled steps.
CASES = [
    ("normal", 34, 200, 101),
    ("finite", 35, 333, 64),
    ("subnormal", 32, 130, 72),
    ("corner", 33, 151, 66),
    ("cancelling", 32, 256, 64),
    ("special", 36, 90, 71),
    ("finite", 1, 1, 1),
    ("corner", 33, 3, 17),
    ("special", 3, 20, 1100),  # more columns than are decoded at a time
]
MANY = [
    ("normal", 96, 200, 101),
    ("finite", 70, 333, 64),
    ("subnormal", 64, 130, 200),
    ("corner", 90, 151, 130),
    ("cancelling", 64, 256, 128),
    ("special", 100, 90, 199),
    ("special", 35, 20, 1100),
]


@pytest.mark.parametrize(("cases", "count"), [(CASES, 2_500_000), (MANY, 10_000_000)])
def test_the_cases_are_millions(cases, count):
    assert sum(rows * terms * columns for _, rows, terms, columns in cases) > count


@pytest.mark.parametrize("cases", [CASES, pytest.param(MANY, marks=pytest.mark.slow)], ids=["some", "many"])
@pytest.mark.parametrize("name", VECTORISED)
def test_vectorised_equals_general(name, cases):
    accumulator = VECTORISED[name]
    output = product.plan(accumulator).format
    for seed, (kind, rows, terms, columns) in enumerate(cases):
        a, b = operands(kind, rows, terms, columns, seed)
        fast, general = both(accumulator, a, b, addends(output, rows, columns, seed))
        wrong = np.flatnonzero(fast != general)
        assert wrong.size == 0, (kind, wrong.size, hex(fast[wrong[0]]), hex(general[wrong[0]]))


@pytest.mark.parametrize("output", [hs.BINARY32, hs.BINARY16], ids=lambda f: f.name)
def test_every_finite_operand_is_decoded_right(output):
    # All finite patterns times 1, one per block: the vectorised decoding against the format's definition.
    a = np.arange(0x10000, dtype=np.uint16).reshape(1, -1)
    a = a[(a & 0x7C00) != 0x7C00].reshape(-1, 1)
    one = np.array([[0x3C00]], np.uint16)
    for accumulator in (block(4, 29, -40, output), hs.Sequential(format=output, fused=True)):
        result = hs.matmul(a.view(np.float16), one.view(np.float16), accumulator=accumulator)
        assert np.array_equal(result, a.view(np.float16))


def test_only_proved_rows_are_vectorised():
    fused_rows = hs.FusedDotAdd(terms=16, fraction_bits=25, zero_exponent=-133)
    for accumulator in (
        hs.Sequential(rounding="rna"),
        hs.Sequential(rounding="odd"),
        hs.Sequential(format=hs.BINARY64),
        hs.Sequential(format=hs.BFLOAT16),
        hs.Sequential(rounding=hs.Stochastic(bits=8, seed=1)),
        hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=8, seed=1), flush_to_zero=True),
        hs.FusedDotAdd(terms=16, fraction_bits=25, zero_exponent=-133, rounding="rne"),
        hs.FusedDotAdd(terms=16, fraction_bits=25, zero_exponent=-133, align="rdn"),
        hs.FusedDotAdd(terms=16, fraction_bits=25, zero_exponent=-21, output=hs.BINARY16, rounding="rtz"),
        hs.FusedDotAdd(terms=31, fraction_bits=25, zero_exponent=-133),
        hs.FusedDotAdd(terms=16, fraction_bits=26, zero_exponent=-133),
        hs.FusedDotAdd(terms=1, fraction_bits=29, zero_exponent=-133),
        hs.FusedDotAdd(terms=16, fraction_bits=22, zero_exponent=-133),
        hs.FusedDotAdd(terms=16, fraction_bits=23, zero_exponent=-125),
        hs.FusedDotAdd(terms=16, fraction_bits=23, zero_exponent=32),
        hs.FusedDotAdd(terms=16, fraction_bits=23, zero_exponent=-97, output=hs.BINARY16, rounding="rne"),
        hs.FusedDotAdd(terms=16, fraction_bits=25, zero_exponent=-133, output=hs.Format("E7M13", 21, 14, -62, 63)),
        hs.Pairwise(rounding="rup"),
        hs.Pairwise(format=hs.BFLOAT16),
        hs.Pairwise(format=hs.BINARY16, rounding=hs.Stochastic(bits=8, seed=1)),
        hs.Compensated(rounding="odd"),
        hs.Compensated(format=hs.BINARY64),
        hs.Compensated(format=hs.BINARY16, rounding=hs.Stochastic(bits=8, seed=1)),
        hs.Exact(format=hs.TF32),
        hs.Exact(format=hs.BINARY64),
        hs.PairwiseDotAdd(terms=4, depth=4),
        hs.PairwiseDotAdd(terms=8, depth=8, environment=FLUSHING),
        hs.PairwiseDotAdd(terms=4, depth=4, environment=FLUSHING, inputs=(hs.BINARY16, hs.BFLOAT16)),
        hs.PairwiseDotAdd(terms=4, depth=4, environment=FLUSHING, output=hs.BINARY16),
        hs.PairwiseDotAdd(terms=4, depth=4, environment=FLUSHING, rounding="rtz"),
        hs.PairwiseDotAdd(terms=4, depth=4, environment=hs.Environment(flush_results=True)),
        hs.PairwiseDotAdd(terms=4, depth=4, environment=replace(FLUSHING, nan=hs.CUDA.nan)),
    ):
        assert product.plan(accumulator).fast is None
    assert product.plan(fused_rows).fast is fused.fused


@pytest.mark.parametrize(("terms", "total"), [(16, 0x4283E001), (30, 0x42F3C403)])
def test_the_largest_sum_fits(terms, total):
    # Products of 1.999**2 and C beside them: the sum of sixteen comes within 2**22 of 2**31, that of thirty near 2**32.
    for sign in (0, 0x8000):
        a = np.full((1, terms), 0x3FFF, np.uint16)
        b = np.full((terms, 1), 0x3FFF | sign, np.uint16)
        c = np.array([[0x3FFFFFFF | sign << 16]], np.uint32).view(np.float32)
        fast, general = both(block(terms, 25, -133, hs.BINARY32), a, b, c)
        assert fast == general == [total | sign << 16]


SCRIPT = """
import hashlib
import numpy as np
import halfsim as hs

def digest():
    rng = np.random.default_rng(11)
    A = rng.integers(0, 0x10000, (3, 9)).astype(np.uint16).view(np.float16)
    A[1:] = rng.standard_normal((2, 9)).astype(np.float16)
    B = rng.standard_normal((9, 3)).astype(np.float16)
    C = rng.standard_normal((3, 3)).astype(np.float32)
    stochastic = hs.Stochastic(bits=16, seed=5)
    rows = [make(format=fmt, rounding=r) for make in (hs.Sequential, hs.Pairwise, hs.Compensated, hs.Exact)
            for fmt in (hs.BINARY16, hs.BINARY32) for r in ("rne", "rtz", "rup", stochastic)]
    result = hashlib.sha256()
    for row in [*rows, hs.FP16, hs.FP32]:
        for array in hs.matmul.flagged(A, B, C, accumulator=row):
            result.update(array.tobytes())
    for name in ("v100:f32", "v100:f16", "a100:f32", "a100:f16", "h100:f32", "h100:f16"):
        result.update(hs.matmul(A, B, C, accumulator=name).tobytes())
    for row in (hs.FP16, hs.FP32):
        result.update(hs.matmul(A, B, C, accumulator=row).tobytes())
    for name, fmt in (("a100:f32:bf16", hs.BFLOAT16), ("h100:f32:tf32", hs.TF32), ("h100:f32:e4m3", hs.E4M3)):
        result.update(hs.matmul(hs.convert(A, fmt), hs.convert(B, fmt), C, accumulator=name).tobytes())
    return result.hexdigest()
"""


def test_plain_python_gives_the_same_bits():
    here: dict = {"hashlib": hashlib}
    exec(SCRIPT, here)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT + "\nprint(digest())"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == here["digest"](), run.stderr


VECTORS = """
import hashlib
import numpy as np
import halfsim as hs
rng = np.random.default_rng(12)
A, B = rng.standard_normal((9, 40)).astype(np.float16), rng.standard_normal((40, 20)).astype(np.float16)
result = hashlib.sha256()
# The slow tests run those of all kernels on such a processor.
stochastic = hs.Stochastic(bits=13, seed=1)
for row in (hs.FP32, hs.Sequential(format=hs.BINARY16, rounding=stochastic), "h100:f32", "mi300x:f32"):
    result.update(hs.matmul(A, B, accumulator=row).tobytes())
print(result.hexdigest())
"""


def test_a_processor_without_vector_extensions_gives_the_same_bits(tmp_path):
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "HALFSIM_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", VECTORS], env={**os.environ, **extra}, capture_output=True, text=True, check=False
        )
        for extra in ({}, plain)
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[1].stderr
    assert runs[0].stdout == runs[1].stdout


FLUSHED = """
import numpy as np, torch
import halfsim as hs
from tests.kernels.test_gemm import VECTORISED, both, operands
from halfsim.kernels import product

assert torch.set_flush_denormal(True)
tiny = np.full(64, 1e-40, np.float32)
assert (tiny * np.float32(2) == 0).all(), "the switch has no effect"
rng = np.random.default_rng(13)
# Enough work for two threads; a quarter of the rows have no nonzero product, a quarter cancel.
for threads, rows in ((1, 8), (2, 64)):
    hs.set_num_threads(threads)
    for name, accumulator in VECTORISED.items():
        output = product.plan(accumulator).format
        a, b = operands("cancelling", rows, 160, 128, 13)
        a[::4] &= 0x8000
        subnormal = rng.integers(1, 1 << (output.precision - 1), (rows, 128))
        sign = rng.integers(0, 2, (rows, 128)) << (output.width - 1)
        c = (subnormal | sign).astype(f"u{output.width // 8}").view(f"f{output.width // 8}")
        fast, general = both(accumulator, a, b, c)
        assert np.array_equal(fast, general), (name, threads)
        kept = np.array_equal(general.reshape(rows, 128)[::4], c[::4].view(fast.dtype))
        assert kept or "block" in name or "flushed" in name
"""


def test_denormal_switches_change_nothing():
    pytest.importorskip("torch")
    run = subprocess.run([sys.executable, "-c", FLUSHED], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


# What rests between two parts of the terms, blocks of rows whose sums rest, and every remainder of a tile.
SHAPES = [(250, 2100, 20), (7, 1025, 70), (5, 1024, 33), (13, 31, 48), (2, 2049, 513)]


@pytest.mark.parametrize(
    "name",
    [
        "binary32",
        "binary16 rne fused",
        "binary16 stochastic 13 fused",
        "pairwise binary32",
        "Pairwise binary16 rne",
        "compensated binary32",
        "Compensated binary16 rne",
        "exact binary32",
    ],
)
def test_parts_and_remainders(name):
    accumulator = VECTORISED[name]
    output = product.plan(accumulator).format
    for seed, shape in enumerate(SHAPES[2:] if "ensated" in name else SHAPES):
        a, b = operands(("normal", "special", "cancelling")[seed % 3], *shape, seed)
        fast, general = both(accumulator, a, b, addends(output, shape[0], shape[2], seed))
        assert np.array_equal(fast, general), shape


@pytest.mark.parametrize("mode", ["rne", "rdn"])
@pytest.mark.parametrize("make", [hs.Sequential, hs.Pairwise, hs.Compensated, hs.Exact])
def test_signs_of_zero_sums(make, mode):
    # Zeros of both signs, alone and beside numbers that cancel.
    accumulator = make(format=hs.BINARY16, rounding=mode)
    rng = np.random.default_rng(21)
    for terms in (1, 2, 3, 4):
        a = rng.choice(np.array([0, 0x8000, 0x3C00, 0xBC00], np.uint16), (60, terms), p=[0.4, 0.4, 0.1, 0.1])
        b = rng.choice(np.array([0, 0x8000, 0x3C00, 0xBC00], np.uint16), (terms, 60))
        c = rng.choice(np.array([0.0, -0.0, 1.0], np.float16), (60, 60))
        fast, general = both(accumulator, a, b, c)
        assert np.array_equal(fast, general)
        assert {0, 0x8000} & set(fast.tolist())


@pytest.mark.parametrize("c", [None, np.float16, np.float32])
@pytest.mark.parametrize("output", [hs.BINARY16, hs.BINARY32], ids=lambda f: f.name)
def test_addends_of_every_kind(output, c):
    # C of another format is rounding number 0 of a stochastic sum, and enters an exact one as it is.
    stochastic = hs.Stochastic(bits=16, seed=9)
    a, b = operands("special", 40, 50, 60, 5)
    if c is not None:
        c = addends({np.float16: hs.BINARY16, np.float32: hs.BINARY32}[c], 40, 60, 5)
    for accumulator in (
        hs.Sequential(format=hs.BINARY16, fused=True, rounding=stochastic),
        hs.Sequential(format=output),
        hs.Pairwise(format=output),
        hs.Compensated(format=output),
        hs.Exact(format=output, rounding=stochastic),
        hs.Exact(format=output),
    ):
        chosen = product.plan(accumulator)
        pair = Operands(a[None], b[None], ONE, ONE)
        results = [
            product.evaluate(plan, pair, None if c is None else c.copy(), flagged=False)[0].reshape(-1)
            for plan in (chosen, chosen._replace(fast=None))
        ]
        assert np.array_equal(*(result.view(chosen.storage.patterns) for result in results))


def test_products_so_small_that_binary64_cannot_hold_the_sum():
    # 2**-48 beside 1024 and beside 2**15, of either sign: one bit decides, for directions and for random words.
    tiny = np.array([1, 0x8001, 1, 0x8001], np.uint16)
    a, b = np.tile(tiny, (64, 3)), np.tile(np.array([1], np.uint16), (12, 64))
    a[:, ::4] = 0x3C00
    b[::4] = 0x7800
    b[::4, 1::2] = 0x6400
    b[::4, ::3] |= 0x8000
    b[1::4, ::5] = 0
    c = np.zeros((64, 64), np.float16)
    rows = [hs.Sequential(format=hs.BINARY16, rounding=mode, fused=True) for mode in MODES]
    rows += [
        hs.Sequential(format=hs.BINARY16, fused=True, rounding=hs.Stochastic(bits=bits, seed=1)) for bits in (1, 2, 32)
    ]
    for accumulator in rows:
        fast, general = both(accumulator, a, b, c)
        assert np.array_equal(fast, general), accumulator


@pytest.mark.parametrize("sign", [0, 1 << 31])
def test_a_subnormal_addend_survives_where_all_products_are_zero(sign):
    # The smallest and the largest subnormal number, the smallest normal one, and zero; then what swallows them.
    c = (np.array([[1, 0x7FFFFF, 0x800000, 0]], np.uint32) | np.uint32(sign)).view(np.float32)
    b = np.array([[1], [0]], np.float16) * np.ones((1, 4), np.float16)
    assert np.array_equal(hs.matmul(np.float16([[0, 1]]), b, c).view(np.uint32)[0, :3], c.view(np.uint32)[0, :3])
    tiny = np.float16(2.0**-24)
    assert (hs.matmul(np.float16([[tiny, 1]]), b * tiny, c) == np.float32(2.0**-48)).all()
    cancelled = hs.matmul(np.float16([[tiny, -tiny]]), np.full((2, 4), tiny, np.float16), c)
    assert (cancelled.view(np.uint32) == 0).all()


def test_a_first_small_product_with_infinities_loads_one_loop_only(monkeypatch):
    """The bits are those of both loops together; finite or large products load the vectorised loop as ever."""

    def unloaded(*_):
        raise AssertionError("the vectorised loop was called")

    row = hs.tensorcores.row("h100", "f32")
    a = np.random.default_rng(8).integers(0, 65536, (6, 40), dtype=np.uint16)
    a[0, 0] = 0x7C00
    _, operands = shapes.matrices("matmul", a, a.T.copy())
    plan = product.plan(row)
    hs.matmul(np.ones((2, 4), np.float16), np.ones((4, 2), np.float16), accumulator=row)
    assert fused.compiled()
    want = hs.matmul(a.view(np.float16), a.T.copy().view(np.float16), accumulator=row)
    monkeypatch.setattr(fused, "compiled", lambda: False)
    values, _ = product.evaluate(plan._replace(fast=unloaded), operands, None, False)
    np.testing.assert_array_equal(values.reshape(want.shape).view(np.uint32), want.view(np.uint32))
    _, finite = shapes.matrices("matmul", np.full((2, 4), 0x3C00, np.uint16), np.full((4, 2), 0x3C00, np.uint16))
    with pytest.raises(AssertionError, match="was called"):
        product.evaluate(plan._replace(fast=unloaded), finite, None, False)
