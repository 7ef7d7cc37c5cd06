"""matmul, dot and sum: shapes, operands, errors, and every accumulator against exact rational arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

import halfsim as hs
from halfsim.formats import Format
from halfsim.kernels import product
from halfsim.linalg import dot, matmul
from halfsim.linalg import sum as total
from tests.oracles import sums
from tests.oracles.corners import NANS, patterns
from tests.oracles.rational import decode

MODES = ("rne", "rtz", "rdn", "rup", "rna", "odd")
E3M4 = Format("E3M4", width=8, precision=5, emin=-2, emax=3)
FORMATS = (hs.BINARY16, hs.BINARY32, hs.BINARY64, hs.BFLOAT16, hs.E5M2, E3M4)
ACCUMULATORS = {
    "sequential": (lambda **k: hs.Sequential(**k), lambda *x: sums.sequential(*x, fused=False)),
    "fused": (lambda **k: hs.Sequential(**k, fused=True), lambda *x: sums.sequential(*x, fused=True)),
    "pairwise": (lambda **k: hs.Pairwise(**k), sums.pairwise),
    "compensated": (lambda **k: hs.Compensated(**k), sums.compensated),
    "exact": (lambda **k: hs.Exact(**k), sums.exact),
}


def columns(count, terms, seed):
    """Operands (count, terms) and C: random patterns, corners, near cancellations, NaNs, ordinary numbers."""
    rng = np.random.default_rng(seed)
    corner = patterns(level=1).astype(np.uint16)
    corner = corner[(corner & 0x7C00) != 0x7C00]
    finite = rng.integers(0, 0x7C00, (count, terms)) | rng.integers(0, 2, (count, terms)) << 15
    kinds = [
        rng.integers(0, 0x10000, (count, terms)),
        rng.choice(corner, (count, terms)),
        finite,
        rng.standard_normal((count, terms)).astype(np.float16).view(np.uint16),
        rng.choice(np.concatenate([NANS, [0x7C00, 0xFC00, 0, 0x8000, 0x3C00]]), (count, terms)),
        rng.choice(np.array([0, 0x8000]), (count, terms)),
    ]
    probabilities = [0.1, 0.25, 0.25, 0.3, 0.05, 0.05]
    pick = rng.choice(len(kinds), count, p=probabilities)
    a = np.choose(pick[:, None], kinds).astype(np.uint16)
    b = np.take_along_axis(a, rng.permuted(np.tile(np.arange(terms), (count, 1)), axis=1), axis=1)
    # Half the rows nearly cancel: the second half of the terms is the first with the other sign.
    half = terms // 2
    a[::2, half : 2 * half] = a[::2, :half] ^ 0x8000
    b[::2, half : 2 * half] = b[::2, :half] ^ rng.choice([0, 0, 0, 1], (len(a[::2]), half)).astype(np.uint16)
    return a, b


def addends(count, fmt, seed):
    rng = np.random.default_rng(seed)
    wide = rng.integers(0, 1 << fmt.width, count)
    plain = rng.standard_normal(count).astype(np.float16 if fmt is hs.BINARY16 else np.float32)
    plain = plain.view(f"u{fmt.width // 8}").astype(np.int64)
    chosen = np.choose(rng.integers(0, 4, count), [wide, plain, np.zeros(count, np.int64), plain])
    return chosen.astype(f"u{fmt.width // 8}").view(f"f{fmt.width // 8}")


@pytest.mark.parametrize("rows", [16, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ACCUMULATORS)
def test_every_accumulator_equals_the_rational_reference(kind, mode, fmt, rows):
    make, reference = ACCUMULATORS[kind]
    source = hs.BINARY32 if mode in ("rne", "rup", "odd") else hs.BINARY16
    seed = sum(map(ord, kind + mode + fmt.name))
    for terms in (1, 2, 7, 16):
        a, b = columns(rows, terms, seed + terms)
        c = addends(rows, source, seed + terms + 1)
        c_bits = c.view(f"u{source.width // 8}")
        accumulator = make(format=fmt, rounding=mode)
        x, y = a.view(np.float16), b.view(np.float16)
        value, flags = dot.flagged(x, y, c, accumulator=accumulator)
        plain = dot(x, y, c, accumulator=accumulator)
        assert value.dtype == plain.dtype
        assert value.tobytes() == plain.tobytes(), "with flags and without"
        want = [
            reference([int(i) for i in a[r]], [int(i) for i in b[r]], int(c_bits[r]), source, fmt, sums.Draws(mode))
            for r in range(rows)
        ]
        assert flags.tolist() == [f for _, f in want]
        assert_patterns(value, [bits for bits, _ in want], fmt)


def assert_patterns(values, want, fmt):
    if fmt in (hs.BINARY16, hs.BINARY32, hs.BINARY64):
        assert [hex(i) for i in values.view(f"u{fmt.width // 8}").tolist()] == [hex(i) for i in want]
        return
    for value, bits in zip(values.tolist(), want, strict=True):
        datum = decode(bits, fmt)
        if datum.is_nan:
            assert np.isnan(value)
        elif datum.kind == "infinite":
            assert value == (-np.inf if datum.sign else np.inf)
        else:
            assert value == datum.value
            assert np.signbit(value) == bool(datum.sign)


@pytest.mark.parametrize("kind", ACCUMULATORS)
@pytest.mark.parametrize("fmt", [hs.BINARY16, hs.BINARY32], ids=lambda f: f.name)
def test_stochastic_steps_are_numbered_in_the_documented_order(kind, fmt):
    make, reference = ACCUMULATORS[kind]
    a, b = columns(30, 9, 5)
    c = addends(30, hs.BINARY32, 6)
    rounding = hs.Stochastic(bits=11, seed=2**64 - 3, offset=2**33 + 5)
    value, flags = dot.flagged(
        a.view(np.float16), b.view(np.float16), c, accumulator=make(format=fmt, rounding=rounding)
    )
    for r in range(30):
        draws = sums.Draws("stochastic", 11, rounding.seed, rounding.offset + r)
        bits, raised = reference(
            [int(i) for i in a[r]], [int(i) for i in b[r]], int(c.view(np.uint32)[r]), hs.BINARY32, fmt, draws
        )
        assert int(value.view(f"u{fmt.width // 8}")[r]) == bits
        assert int(flags[r]) == raised


def test_stochastic_results_do_not_depend_on_the_chunks():
    rng = np.random.default_rng(3)
    A, B = (rng.standard_normal(shape).astype(np.float16) for shape in ((12, 20), (20, 8)))
    whole = matmul(A, B, accumulator=hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=20, seed=9)))
    for start in range(0, 12, 4):
        accumulator = hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=20, seed=9, offset=start * 8))
        part = matmul(A[start : start + 4], B, accumulator=accumulator)
        assert part.tobytes() == whole[start : start + 4].tobytes()


def test_stochastic_sums_are_unbiased():
    x = np.full((4000, 64), 0.1, np.float16)
    results = total(x, axis=1, accumulator=hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=24, seed=1)))
    exact = 64 * float(np.float16(0.1))
    deviation = results.astype(np.float64) - exact
    assert abs(deviation.mean()) < 4 * deviation.std() / np.sqrt(len(results))
    assert deviation.std() > 0
    nearest = float(total(x[0], accumulator=hs.Sequential(format=hs.BINARY16)))
    assert abs(nearest - exact) > 4 * deviation.std() / np.sqrt(len(results)), "the control is biased"


SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((1, 2, 3), (6, 3, 2)),
    ((0, 3), (3, 4)),
    ((2, 3), (3, 0)),
    ((2, 0), (0, 4)),
    ((0, 2, 3), (3, 4)),
    ((0,), (0,)),
    ((4, 0, 3), (4, 3, 2)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("accumulator", [hs.FP32, hs.FP16, hs.Exact(), "h100:f32", "a100:f16"], ids=str)
def test_shapes_are_those_of_numpy(left, right, accumulator):
    rng = np.random.default_rng(0)
    A, B = (rng.integers(-4, 5, shape).astype(np.float16) for shape in (left, right))
    want = np.matmul(A.astype(np.float64), B.astype(np.float64))
    result = matmul(A, B, accumulator=accumulator)
    assert np.shape(result) == np.shape(want)
    assert np.array_equal(result, want)
    C = rng.integers(-4, 5, np.shape(want)[-1:]).astype(np.float16)
    assert np.array_equal(matmul(A, B, C, accumulator=accumulator), want + C)
    if not isinstance(accumulator, str):
        value, flags = matmul.flagged(A, B, C, accumulator=accumulator)
        assert np.shape(flags) == np.shape(value) == np.shape(want)
        assert flags.dtype == np.uint8
        assert not np.any(flags)


@pytest.mark.parametrize("accumulator", [hs.FP32, hs.FP16, "v100:f32", hs.Pairwise()], ids=str)
def test_any_memory_layout_gives_the_same_bits(accumulator):
    rng = np.random.default_rng(1)
    A, B = rng.standard_normal((6, 10)).astype(np.float16), rng.standard_normal((10, 4)).astype(np.float16)
    want = matmul(A, B, accumulator=accumulator).tobytes()
    frozen = A.copy()
    frozen.flags.writeable = False
    wide = np.zeros((6, 20), np.float16)
    wide[:, ::2] = A
    for other in (np.asfortranarray(A), frozen, wide[:, ::2], A.astype(">f2"), A[::-1][::-1]):
        assert matmul(other, B, accumulator=accumulator).tobytes() == want
        assert matmul(other, B.astype(">f2"), accumulator=accumulator).tobytes() == want
    assert frozen.tobytes() == A.tobytes()


def test_operands_and_addend_are_left_alone():
    rng = np.random.default_rng(2)
    A, B = rng.standard_normal((6, 10)).astype(np.float16), rng.standard_normal((10, 4)).astype(np.float16)
    for dtype in (np.float16, np.float32):
        C = rng.standard_normal((6, 4)).astype(dtype)
        before = A.tobytes(), B.tobytes(), C.tobytes()
        for accumulator in (hs.FP32, hs.FP16, "h100:f32", "h100:f16", hs.Exact()):
            matmul(A, B, C, accumulator=accumulator)
        assert (A.tobytes(), B.tobytes(), C.tobytes()) == before


def test_out_receives_the_result():
    A, B = np.ones((2, 3), np.float16), np.ones((3, 4), np.float16)
    out = np.zeros((2, 4), np.float32)
    assert matmul(A, B, out=out) is out
    assert (out == 3).all()
    strided = np.zeros((4, 8), np.float16)[::2, ::2]
    assert matmul(A, B, accumulator=hs.FP16, out=strided) is strided
    assert (strided == 3).all()
    scalar = np.zeros((), np.float32)
    assert dot(A[0], A[0], out=scalar) is scalar
    assert scalar == 3


@pytest.mark.parametrize(
    ("fmt", "dtype"),
    [
        (hs.BINARY16, np.float16),
        (hs.BINARY32, np.float32),
        (hs.BINARY64, np.float64),
        (hs.BFLOAT16, np.float32),
        (hs.TF32, np.float32),
    ],
    ids=str,
)
def test_the_result_dtype_follows_the_format(fmt, dtype):
    result = dot(np.ones(3, np.float16), np.ones(3, np.float16), accumulator=hs.Sequential(format=fmt))
    assert result.dtype == dtype
    assert result == 3


@pytest.mark.parametrize("accumulator", [hs.FP16, hs.FP32, hs.Exact(format=hs.BINARY16)], ids=str)
def test_a_sum_without_terms_is_the_addend(accumulator):
    A, B = np.ones((1, 0), np.float16), np.ones((0, 1), np.float16)
    C = np.array([[2049]], np.float32)
    want = 2048 if matmul(A, B, accumulator=accumulator).dtype == np.float16 else 2049
    assert matmul(A, B, C, accumulator=accumulator) == want
    assert not np.signbit(matmul(A, B, accumulator=accumulator))
    assert np.signbit(matmul(A, B, np.float16(-0.0), accumulator=accumulator))


def test_sum_takes_axes_in_c_order():
    x = np.arange(24).reshape(2, 3, 4).astype(np.float16)
    for axis in (None, 0, 1, 2, -1, (0, 1), (2, 0), (0, 1, 2), ()):
        for keepdims in (False, True):
            want = np.sum(x.astype(np.float64), axis=axis, keepdims=keepdims)
            assert np.array_equal(total(x, axis, keepdims=keepdims), want)
            assert np.shape(total(x, axis, keepdims=keepdims)) == np.shape(want)
    y = np.array([[2048, 1], [1, -2048]], np.float16)
    # ((2048 + 1) + 1) - 2048 with ties to even, not 2048 + 1 - 2048 + 1.
    assert total(y, accumulator=hs.FP16) == 0
    assert total(y.T.copy(), accumulator=hs.FP16) == 0
    assert total(np.array([[2048, 1], [-2048, 1]], np.float16), accumulator=hs.FP16) == 1
    assert total(np.float16(3)) == 3
    value, flags = total.flagged(y, axis=1, accumulator=hs.FP16)
    assert value.tolist() == [2048, -2047]
    assert flags.tolist() == [1, 0]


def test_a_binary16_sum_rounds_at_every_step():
    ones = np.ones((1, 5000), np.float16)
    assert matmul(ones, ones.T, accumulator=hs.FP16) == 2048
    assert matmul(ones, ones.T) == 5000


ONES = np.ones((2, 2), np.float16)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: matmul(ONES.astype(np.float32), ONES), TypeError, "matmul: operand A is .*float32.*halfsim.convert"),
        (lambda: matmul(ONES, ONES.view(np.uint16)), TypeError, "matmul: operand B is .*uint16.*from_bits"),
        (lambda: matmul(ONES, 2.0), TypeError, "matmul: operand B is .*float"),
        (lambda: matmul(ONES, np.float16(1)), ValueError, "matmul: B is a scalar; pass at least one dimension"),
        (
            lambda: matmul(ONES, np.ones((3, 2), np.float16)),
            ValueError,
            r"A \(2, 2\) and B \(3, 2\) do not fit: A has 2",
        ),
        (
            lambda: matmul(np.ones((2, 2, 2), np.float16), np.ones((3, 2, 2), np.float16)),
            ValueError,
            "matmul: the leading dimensions of A .* do not broadcast",
        ),
        (lambda: matmul(ONES, ONES, np.ones(3, np.float16)), ValueError, r"matmul: C has shape \(3,\), which does not"),
        (
            lambda: matmul(ONES, ONES, np.ones((2, 2))),
            TypeError,
            "matmul: C is a float64 array; pass float16 or float32",
        ),
        (lambda: matmul(ONES, ONES, 1), TypeError, "matmul: C is a int; pass float16 or float32"),
        (lambda: matmul(ONES, ONES, accumulator="h100"), ValueError, "matmul: accumulator='h100' is not 'GPU:output'"),
        (lambda: matmul(ONES, ONES, accumulator="h1:f32"), ValueError, "matmul: unknown GPU 'h1'; known are 'v100'"),
        (lambda: matmul(ONES, ONES, accumulator=hs.Sequential), TypeError, "matmul: accumulator=.* is a type; pass"),
        (
            lambda: matmul(ONES, ONES, out=np.zeros((2, 2))),
            TypeError,
            "matmul: out has dtype float64, but the result is",
        ),
        (lambda: matmul(ONES, ONES, out=np.zeros(2, np.float32)), ValueError, r"matmul: out has shape \(2,\)"),
        (
            lambda: matmul.flagged(ONES, ONES, accumulator="h100:f32"),
            ValueError,
            "matmul.flagged: FusedDotAdd has no flags",
        ),
        (lambda: dot(ONES, np.ones(3, np.float16)), ValueError, "dot: A .* must have the same last dimension"),
        (lambda: dot(np.float16(1), np.float16(1)), ValueError, "dot: A .* must have the same last dimension"),
        (lambda: total(ONES, axis=2), ValueError, "sum: axis=2 is not among the 2 axes of x; pass -2 to 1"),
        (lambda: total(ONES, axis=(0, -2)), ValueError, "sum: axis=.* names an axis twice"),
        (lambda: total(ONES.astype(np.float64)), TypeError, "sum: operand x is .*float64"),
    ],
)
def test_errors_name_the_argument_and_the_way_out(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("accumulator", [hs.FP32, hs.FP16, hs.Pairwise(), "h100:f32", "v100:f16"], ids=str)
def test_results_do_not_depend_on_threads_or_batches(accumulator, monkeypatch):
    monkeypatch.setattr(product, "_FAST_WORK", 64)
    monkeypatch.setattr(product, "_GENERAL_WORK", 64)
    rng = np.random.default_rng(4)
    A = rng.integers(0, 0x10000, (3, 33, 20)).astype(np.uint16).view(np.float16)
    B = rng.standard_normal((20, 70)).astype(np.float16)
    before = hs.get_num_threads()
    try:
        hs.set_num_threads(1)
        want = matmul(A, B, accumulator=accumulator)
        for threads in (2, 3):
            hs.set_num_threads(threads)
            assert matmul(A, B, accumulator=accumulator).tobytes() == want.tobytes()
    finally:
        hs.set_num_threads(before)
    stacked = np.broadcast_to(B, (3, 20, 70)).copy()
    assert matmul(A, stacked, accumulator=accumulator).tobytes() == want.tobytes()
    for batch in range(3):
        assert matmul(A[batch], B, accumulator=accumulator).tobytes() == want[batch].tobytes()
        for rows in (slice(0, 7), slice(7, 33)):
            assert matmul(A[batch, rows], B, accumulator=accumulator).tobytes() == want[batch, rows].tobytes()
        assert matmul(A[batch], B[:, 5:40], accumulator=accumulator).tobytes() == want[batch][:, 5:40].tobytes()
