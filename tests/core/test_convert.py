"""Conversions: one rounding whatever the width of the source, integers both ways, NaNs and infinities."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import gfloat
import gfloat.formats
import ml_dtypes
import numpy as np
import pytest

import halfsim as hs
from halfsim.core import convert as core
from halfsim.core.fields import layout
from halfsim.kernels import elementwise as loops
from tests.checking import STEPS, as_environment, assert_same, control, rational_table
from tests.oracles import apy, corners, rational, softfloat

RISCV = rational.MACHINES["RISCV"]
MACHINES = list(rational.MACHINES.values())
EVERY = np.arange(65536, dtype=np.uint64)
NATIVE = {hs.BINARY16: np.uint16, hs.BINARY32: np.uint32, hs.BINARY64: np.uint64}
SOURCES = {np.float16: hs.BINARY16, np.float32: hs.BINARY32, np.float64: hs.BINARY64}
ALTERNATIVE = hs.Format("alternative half", 16, 11, -14, 16, hs.Specials.none)
E2M1 = hs.Format("E2M1", 4, 2, 0, 2, hs.Specials.none)
WIDE = hs.Format("wide", 40, 30, -510, 511)
FORMATS = [
    *(hs.BINARY16, hs.BINARY32, hs.BINARY64, hs.BFLOAT16, hs.TF32, hs.E5M2, hs.E4M3),
    *(ALTERNATIVE, E2M1, WIDE, hs.Format("E3M4", 8, 5, -2, 3)),
]
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]


def _settings(context):
    return {"rounding": context.mode, "environment": as_environment(context.machine), "saturate": context.saturate}


def _holder(fmt):
    """The native format whose values the front door returns for `fmt`."""
    if fmt in NATIVE:
        return fmt
    return hs.BINARY64 if fmt.precision > 24 or fmt.emax > 127 else hs.BINARY32


def _convert(x, to, context):
    """Patterns in the format of the returned array, and flags; without flags and by the general loop the same."""
    value, flags = hs.convert.flagged(x, to, **_settings(context))
    word = NATIVE[_holder(to)]
    alone = hs.convert(x, to, **_settings(context))
    np.testing.assert_array_equal(value.view(word), alone.view(word))
    source = SOURCES.get(x.dtype.type)
    if source is not None and to in NATIVE:
        signed = np.int64 if to is hs.BINARY64 else word
        general, raised = np.empty(x.size, signed), np.empty_like(flags)
        patterns = x.view(np.int64 if source is hs.BINARY64 else NATIVE[source])
        loops.convert(patterns, general, raised, control(context), 0, 0, layout(source), layout(to))
        assert_same("general loop", [patterns], [value.view(word), flags], [general.view(word), raised])
    return value.view(word), flags


def _held(bits, fmt):
    """Expected patterns of `fmt` as the patterns of the format that holds them."""
    holder = _holder(fmt)
    if holder == fmt:
        return bits
    unique, places = np.unique(bits, return_inverse=True)
    return np.array([_widened(int(b), fmt, holder) for b in unique], dtype=np.uint64)[places]


@lru_cache(maxsize=1 << 18)
def _widened(bits, fmt, holder):
    return rational.convert(bits, fmt, holder)[0]


def _expected(bits, source, to, context):
    want, flags = rational_table(rational.convert, [bits], source, to, context)
    return _held(want, to), flags


# --- To binary16 from wider formats: exactly one rounding ---


@pytest.mark.parametrize("tininess", ["after", "before"])
@pytest.mark.parametrize("mode", rational.MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_narrowing_equals_softfloat(dtype, mode, tininess):
    x = corners.float_neighbours(dtype)
    bits = x.view(np.uint32 if dtype is np.float32 else np.uint64)
    function = "f32_to_f16" if dtype is np.float32 else "f64_to_f16"
    want, flags = softfloat.call(function, bits, mode="rtz" if mode == "odd" else mode, tininess=tininess)
    if mode == "odd":
        want = want | (flags & 1)
    context = rational.Context(mode, replace(RISCV, tininess=tininess))
    assert_same(f"{function} {mode}", [bits], [want, flags], _convert(x, hs.BINARY16, context))


@pytest.mark.parametrize("mode", apy.MODES)
def test_narrowing_equals_apytypes(mode):
    x = corners.float_neighbours(np.float64, seed=61)
    x = x[~np.isnan(x)]
    bits, _ = _convert(x, hs.BINARY16, rational.Context(mode))
    assert_same(mode, [x.view(np.uint64)], [apy.cast(x, 5, 10, mode)], [bits])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_narrowing_to_nearest_even_equals_numpy(dtype):
    x = corners.float_neighbours(dtype, seed=62)
    x = x[~np.isnan(x)]
    bits, _ = _convert(x, hs.BINARY16, rational.PLAIN)
    with np.errstate(all="ignore"):
        want = x.astype(np.float16).view(np.uint16)
    assert_same("rne", [x.view(np.uint32 if dtype is np.float32 else np.uint64)], [want], [bits])


# --- All pairs of formats ---


@STEPS
@pytest.mark.parametrize("mode", rational.MODES)
@pytest.mark.parametrize("to", [f for f in FORMATS if f is not hs.BINARY16], ids=lambda f: f.name)
def test_every_binary16_converts(to, mode, step):
    every = EVERY[:: 1 if mode == "rne" or to in (hs.BINARY32, hs.BINARY64) else step]
    context = rational.Context(mode, replace(RISCV, tininess="before" if mode in ("rna", "rup") else "after"))
    got = _convert(hs.from_bits(every), to, context)
    if to in (hs.BINARY32, hs.BINARY64):
        name = "f16_to_f32" if to is hs.BINARY32 else "f16_to_f64"
        assert_same(name, [every], softfloat.call(name, every), got)
    else:
        assert_same(f"binary16 to {to.name} {mode}", [every], _expected(every, hs.BINARY16, to, context), got)


@lru_cache
def _around(fmt, dtype, seed):
    """Values of a native dtype at the numbers and midpoints of a narrower format, and one ulp beside them; corners."""
    rng = np.random.default_rng(seed)
    magnitudes = rng.integers(0, rational.largest(0, fmt), 300, endpoint=True).tolist()
    magnitudes += [0, 1, 2, (1 << (fmt.precision - 1)) - 1, 1 << (fmt.precision - 1), rational.largest(0, fmt)]
    numbers = [rational.decode(m, fmt).magnitude for m in magnitudes]
    steps = [rational._power(max(_exponent(v), fmt.emin) - fmt.precision) for v in numbers]
    with np.errstate(all="ignore"):
        exact = [v for pair in zip(numbers, steps, strict=True) for v in (pair[0], sum(pair)) if v < 2**1024 - 2**970]
        at = np.array([float(v) for v in exact]).astype(dtype)
        around = np.concatenate([at, np.nextafter(at, dtype(np.inf)), np.nextafter(at, dtype(0))])
    word = np.uint32 if dtype is np.float32 else np.uint64
    width = 32 if dtype is np.float32 else 64
    free = corners.random_patterns(300, 1, seed, width=width - 1)[0].astype(word)
    bits = np.concatenate([around.view(word), corners.wide_corners(width).astype(word), free])
    return np.concatenate([bits, bits ^ word(1 << (width - 1))])


def _exponent(value):
    return rational._exponent(value.numerator, value.denominator) if value else -(10**6)


@pytest.mark.parametrize("mode", rational.MODES)
@pytest.mark.parametrize("to", FORMATS, ids=lambda f: f.name)
def test_native_floats_to_any_format(to, mode):
    for source, dtype in ((hs.BINARY32, np.float32), (hs.BINARY64, np.float64)):
        bits = _around(to, dtype, seed=63)
        for tininess in ("after", "before"):
            for flush in (False, True):
                machine = replace(rational.IEEE, tininess=tininess, flush_inputs=flush, flush_results=flush)
                context = rational.Context(mode, machine)
                want = _expected(bits[flush::3], source, to, context)
                got = _convert(bits[flush::3].view(dtype), to, context)
                assert_same(f"{source.name} to {to.name} {mode}", [bits[flush::3]], want, got)


@pytest.mark.parametrize("source", FORMATS, ids=lambda f: f.name)
def test_core_converts_any_format_to_any(source):
    bits = corners.patterns(source, level=0)
    for to in FORMATS:
        for mode in ("rne", "rup", "odd"):
            context = rational.Context(mode, rational.MACHINES["X86"])
            word = control(context)
            for b in bits.tolist():
                signed = b - (1 << 64) if b >> 63 else b
                got, flags = core.convert(signed, layout(source), layout(to), word, 0)
                want = rational.convert(b, source, to, context)
                assert (got % 2**64 if to.width == 64 else got, flags) == want, (hex(b), to.name, mode)


@pytest.mark.parametrize(
    ("dtype", "fmt"),
    [
        (ml_dtypes.bfloat16, hs.BFLOAT16),
        (ml_dtypes.float8_e5m2, hs.E5M2),
        (ml_dtypes.float8_e4m3fn, hs.E4M3),
    ],
    ids=["bfloat16", "float8_e5m2", "float8_e4m3fn"],
)
class TestMlDtypes:
    @STEPS
    def test_every_pattern_of_its_arrays(self, dtype, fmt, step):
        every = np.arange(1 << fmt.width, dtype=np.uint16 if fmt.width == 16 else np.uint8)
        for mode in rational.MODES:
            context = rational.Context(mode, rational.MACHINES["X86"])
            patterns = every[:: 1 if mode == "rne" or fmt.width == 8 else step]
            want = _expected(patterns, fmt, hs.BINARY16, context)
            assert_same(f"{fmt.name} {mode}", [patterns], want, _convert(patterns.view(dtype), hs.BINARY16, context))

    def test_rounds_as_it_does(self, dtype, fmt):
        x = corners.float_neighbours(np.float32, seed=64)
        x = np.concatenate([x, _around(fmt, np.float32, 65).view(np.float32)])
        x = x[~np.isnan(x)]
        with np.errstate(all="ignore"):
            want = x.astype(dtype).astype(np.float32)
        got = hs.convert(x, fmt)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


GFLOAT = {
    "rne": gfloat.RoundMode.TiesToEven,
    "rna": gfloat.RoundMode.TiesToAway,
    "rtz": gfloat.RoundMode.TowardZero,
    "rup": gfloat.RoundMode.TowardPositive,
    "rdn": gfloat.RoundMode.TowardNegative,
}


@pytest.mark.parametrize("mode", GFLOAT)
@pytest.mark.parametrize(
    ("fmt", "info"),
    [
        (hs.BINARY16, gfloat.formats.format_info_binary16),
        (hs.BFLOAT16, gfloat.formats.format_info_bfloat16),
        (hs.E5M2, gfloat.formats.format_info_ocp_e5m2),
        (hs.E4M3, gfloat.formats.format_info_ocp_e4m3),
    ],
    ids=["binary16", "bfloat16", "E5M2", "E4M3"],
)
def test_values_equal_gfloat(fmt, info, mode):
    wide, narrow = _around(fmt, np.float64, 66).view(np.float64), _around(fmt, np.float32, 67).view(np.float32)
    x = np.concatenate([wide, narrow[np.isfinite(narrow)].astype(np.float64)])
    # Its scaling overflows beyond, and its powers of two underflow below.
    x = x[(x == 0) | ((np.abs(x) >= 2.0**-1000) & (np.abs(x) < 2.0**1000))]
    want = gfloat.round_ndarray(info, x, GFLOAT[mode])
    np.testing.assert_array_equal(hs.convert(x, fmt, rounding=mode).astype(np.float64), want)


# --- NaNs ---


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
def test_nans_between_formats(machine):
    context = rational.Context(machine=machine)
    for source, dtype in ((hs.BINARY16, np.float16), (hs.BINARY32, np.float32), (hs.BINARY64, np.float64)):
        word = NATIVE[source]
        top = rational.infinity(0, source)
        low = (1 << (source.precision - 1)) - 1
        quiet = 1 << (source.precision - 2)
        payloads = [1, 2, quiet - 1, quiet, quiet | 1, low, low ^ 1, low // 3, quiet >> 1, 1 << 9]
        bits = np.array([s << (source.width - 1) | top | p for p in payloads for s in (0, 1)], dtype=word)
        for to in FORMATS:
            want = _expected(bits, source, to, context)
            assert_same(
                f"{machine.name} {source.name} to {to.name}", [bits], want, _convert(bits.view(dtype), to, context)
            )


def test_cuda_nan_in_binary32_is_all_ones():
    assert hs.convert(hs.from_bits(0x7C01), hs.BINARY32, environment=hs.CUDA).view(np.uint32) == 0x7FFFFFFF


# --- Formats without infinity ---


def test_saturation_is_asked_for():
    x = np.float32([448, 463.9, 464, 465, 1e30, np.inf, -np.inf, np.nan])
    plain, flags = hs.convert.flagged(x, hs.E4M3)
    np.testing.assert_array_equal(plain, np.float32([448, 448, 448, np.nan, np.nan, np.nan, np.nan, np.nan]))
    assert flags.tolist() == [0, 1, 1, 5, 5, 16, 16, 0]
    saturated, flags = hs.convert.flagged(x, hs.E4M3, saturate=True)
    np.testing.assert_array_equal(saturated, np.float32([448, 448, 448, 448, 448, 448, -448, np.nan]))
    assert flags.tolist() == [0, 1, 1, 5, 5, 16, 16, 0]


# --- Integers ---

SOFT_INTEGER = {np.int32: "i32", np.uint32: "ui32", np.int64: "i64", np.uint64: "ui64"}


@pytest.mark.parametrize("mode", softfloat.MODES)
@pytest.mark.parametrize("dtype", SOFT_INTEGER, ids=lambda d: d.__name__)
def test_every_binary16_to_integer_equals_softfloat(dtype, mode):
    x = hs.from_bits(EVERY)
    for exact in (False, True):
        want, flags = softfloat.call(f"f16_to_{SOFT_INTEGER[dtype]}", EVERY, mode=mode, exact=exact)
        got, raised = hs.convert.flagged(x, dtype, rounding=mode, environment=hs.RISCV, exact=exact)
        assert got.dtype == dtype
        assert_same(f"{dtype.__name__} {mode}", [EVERY], [want.astype(dtype), flags], [got, raised])


def _limits(dtype):
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


@pytest.mark.parametrize("machine", [rational.MACHINES[n] for n in ("IEEE", "X86", "RISCV")], ids=lambda m: m.name)
@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.__name__)
def test_binary16_to_integer(dtype, machine):
    special = np.concatenate([corners.patterns(level=1), corners.NANS.astype(np.uint64), EVERY[::13]])
    for mode in rational.MODES:
        context = rational.Context(mode, machine)
        want = rational_table(rational.to_integer, [special], *_limits(dtype), context, exact=True)
        got = hs.convert.flagged(
            hs.from_bits(special), dtype, rounding=mode, environment=as_environment(machine), exact=True
        )
        assert_same(f"{dtype.__name__} {mode}", [special], want, got)


@STEPS
@pytest.mark.parametrize("mode", rational.MODES)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16], ids=lambda d: d.__name__)
def test_every_binary16_to_narrow_integer(dtype, mode, step):
    every, context = EVERY[:: 1 if mode == "rne" else step], rational.Context(mode)
    want = rational_table(rational.to_integer, [every], *_limits(dtype), context, exact=True)
    assert_same(mode, [every], want, hs.convert.flagged(hs.from_bits(every), dtype, rounding=mode, exact=True))
    quiet = hs.convert.flagged(hs.from_bits(every), dtype, rounding=mode)
    assert_same(mode, [every], [want[0], want[1] & ~np.uint8(1)], quiet)


@pytest.mark.parametrize("source", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.__name__)
def test_limits_of_integers_from_wider_formats(dtype, source):
    low, high = _limits(dtype)
    near = [source(v) + source(d) for v in (low, high, high + 1, high // 2, 0, 1) for d in (-1, -0.5, -0.25, 0, 0.5, 1)]
    near = np.array([*near, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30, -1e-30], dtype=source)
    near = np.concatenate([near, np.nextafter(near, source(0)), np.nextafter(near, source(np.inf)), -near])
    fmt = hs.BINARY32 if source is np.float32 else hs.BINARY64
    bits = near.view(NATIVE[fmt])
    for mode in rational.MODES:
        for machine in (rational.IEEE, rational.MACHINES["X86"], RISCV):
            context = rational.Context(mode, machine)
            want = rational_table(rational.to_integer, [bits], low, high, context, fmt, exact=True)
            got = hs.convert.flagged(near, dtype, rounding=mode, environment=as_environment(machine), exact=True)
            assert_same(f"{dtype.__name__} {mode} {machine.name}", [bits], want, got)


def _integers(dtype, count):
    low, high = _limits(dtype)
    rng = np.random.default_rng(68)
    powers = [s * (2**n + d) for n in range(64) for d in (-1, 0, 1) for s in (1, -1)]
    ties = [
        s * ((2048 + k) * 2**n + 2**n // 2 + d)
        for n in range(1, 50)
        for k in (0, 1, 5)
        for d in (-1, 0, 1)
        for s in (1, -1)
    ]
    chosen = [v for v in [low, low + 1, high, high - 1, 0, *powers, *ties, 65504, 65519, 65520] if low <= v <= high]
    return np.concatenate([np.array(chosen, dtype=dtype), rng.integers(low, high, count, dtype=dtype, endpoint=True)])


@pytest.mark.parametrize("mode", rational.MODES)
@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.__name__)
def test_integer_to_any_format(dtype, mode):
    x = _integers(dtype, 300)
    for to in FORMATS:
        context = rational.Context(mode)
        want, flags = rational_table(rational.from_integer, [x], context, to)
        assert_same(f"{dtype.__name__} to {to.name} {mode}", [x], [_held(want, to), flags], _convert(x, to, context))
    if dtype in SOFT_INTEGER and mode in softfloat.MODES:
        x = _integers(dtype, 20_000)
        want, flags = softfloat.call(f"{SOFT_INTEGER[dtype]}_to_f16", x, mode=mode)
        assert_same(mode, [x], [want, flags], _convert(x, hs.BINARY16, rational.Context(mode)))


@STEPS
@pytest.mark.parametrize("dtype", [np.int16, np.uint16], ids=lambda d: d.__name__)
def test_every_16_bit_integer_to_binary16(dtype, step):
    for mode in rational.MODES:
        x = EVERY.astype(np.uint16).view(dtype)[:: 1 if mode == "rne" else step]
        context = rational.Context(mode)
        assert_same(mode, [x], rational_table(rational.from_integer, [x], context), _convert(x, hs.BINARY16, context))


def test_round_trip_through_wider_formats_is_the_identity():
    x = hs.from_bits(EVERY)
    for to in (hs.BINARY32, hs.BINARY64, hs.TF32):
        wide, flags = hs.convert.flagged(x, to)
        back = hs.to_bits(hs.convert(wide, hs.BINARY16))
        quieted = np.where((EVERY & 0x7FFF) > 0x7C00, EVERY | 0x0200, EVERY)
        np.testing.assert_array_equal(back, quieted)
        np.testing.assert_array_equal(flags, np.where(quieted != EVERY, 16, 0))
