"""The fused dot-add block and the exact sum, step by step, against golden values and exact rational arithmetic."""

# ruff: noqa: E501 (a table of golden values)

from __future__ import annotations

import numpy as np
import pytest

from halfsim.core import dot
from halfsim.core.control import control_word
from halfsim.core.fields import F16, layout
from halfsim.environment import CUDA, Environment
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, E4M3, E5M2, TF32, Format, Specials
from halfsim.rounding import as_rounding
from tests.oracles import sums
from tests.oracles.corners import NANS, patterns

F32 = layout(BINARY32)
RULES = {"4/23": (4, 23, -131, -19), "8/24": (8, 24, -132, -20), "16/25": (16, 25, -133, -21)}

# Computed by an independent model and by mmasim 2.1.1, which agree. K = 16, elements not listed are +0; results for
# blocks of 4 products with 23 fraction bits (Volta), 8 with 24 (Turing, Ampere, Ada), 16 with 25 (Hopper, Blackwell).
GOLDEN = (
    ("cancel", "f32", "6c00 6c00 b800 b400", "6800 e800 3c00 3c00", "be000000", "00000000", "bf000000", "bf400000"),
    ("unnormalised product exponent", "f32", "3e00 be00 0c00 0c00", "3e00 3e00 1000 0c00", "33000000", "34000000", "34400000", "34600000"),
    ("truncation, not floor", "f32", "3c00 8e00", "3c00 0c00", "00000000", "3f800000", "3f7fffff", "3f7ffffe"),
    ("subnormal factor has exponent -14", "f32", "0001 0001 0001 0001", "3c00 bc00 0400 0200", "00000000", "00000000", "2c800000", "2cc00000"),
    ("RZ result, positive", "f32", "3c00 0c00 0c00", "3c00 1000 0c00", "00000000", "3f800001", "3f800001", "3f800001"),
    ("RZ result, negative", "f32", "bc00 8c00 8c00", "3c00 1000 0c00", "00000000", "bf800001", "bf800001", "bf800001"),
    ("chain: +2^25, then block with -2^25 and 1", "f32", "k0=7000, k8=f000, k9=3c00, k12=3c00, k13=3c00", "k0=6c00, k8=6c00, k9=3c00, k12=3c00, k13=3c00", "00000000", "40000000", "00000000", "40400000"),
    ("largest carry, 16 x 3fff^2", "f32", "3fff x16", "3fff x16", "3fffffff", "4283e000", "4283e000", "4283e001"),
    ("C = FLT_MAX absorbs", "f32", "7bff", "7bff", "7f7fffff", "7f7fffff", "7f7fffff", "7f7fffff"),
    ("subnormal C passes", "f32", "0000", "0000", "80000001", "80000001", "80000001", "80000001"),
    ("zero product does not raise E", "f32", "0001 0000", "0001 7bff", "00000000", "27800000", "27800000", "27800000"),
    ("all -0", "f32", "8000 x16", "3c00 x16", "80000000", "00000000", "00000000", "00000000"),
    ("Inf - Inf", "f32", "7c00 7c00", "3c00 bc00", "00000000", "7fffffff", "7fffffff", "7fffffff"),
    ("0 * Inf", "f32", "7c00", "0000", "00000000", "7fffffff", "7fffffff", "7fffffff"),
    ("Inf + C = -Inf", "f32", "7c00", "3c00", "ff800000", "7fffffff", "7fffffff", "7fffffff"),
    ("tie to even", "f16", "3c00 1000", "3c00 3c00", "0000", "3c00", "3c00", "3c00"),
    ("tie broken by a sticky term", "f16", "3c00 1000 1000", "3c00 3c00 1000", "0000", "3c01", "3c01", "3c01"),
    ("sticky at 2^-23/2^-24/2^-25", "f16", "3c00 1000 0c00", "3c00 3c00 0c00", "0000", "3c00", "3c01", "3c01"),
    ("sticky term just below", "f16", "3c00 1000 0800", "3c00 3c00 0c00", "0000", "3c00", "3c00", "3c01"),
    ("chain rounds per block", "f16", "k0=3c00, k8=3c00", "k0=3c00, k8=3c00", "6800", "6800", "6800", "6801"),
    ("65504 + 16", "f16", "4c00", "3c00", "7bff", "7c00", "7c00", "7c00"),
    ("65504 + 15.99", "f16", "4bff", "3c00", "7bff", "7bff", "7bff", "7bff"),
    ("far overflow cancels inside a block", "f16", "7bff 7bff 5a40", "7bff fbff 3c00", "0000", "5800", "5a00", "5a00"),
    ("overflow between blocks", "f16", "k0=7bff, k8=fbff", "k0=4000, k8=4000", "0000", "7c00", "7c00", "0000"),
    ("subnormal result", "f16", "0001", "4200", "0000", "0003", "0003", "0003"),
    ("2^-25 ties to 0", "f16", "0001", "3800", "0000", "0000", "0000", "0000"),
    ("-2^-26 rounds to zero", "f16", "8001", "3400", "0000", "0000", "0000", "0000"),
    ("floor: 2^-25 + 2^-42", "f16", "0800 0001", "0c00 0040", "0000", "0001", "0001", "0001"),
    ("floor: 2^-25 + 2^-43", "f16", "0800 0001", "0c00 0020", "0000", "0000", "0001", "0001"),
    ("floor: 2^-25 + 2^-44", "f16", "0800 0001", "0c00 0010", "0000", "0000", "0001", "0001"),
    ("floor: 2^-25 + 2^-45", "f16", "0800 0001", "0c00 0008", "0000", "0000", "0000", "0001"),
    ("floor: 2^-25 + 2^-46", "f16", "0800 0001", "0c00 0004", "0000", "0000", "0000", "0001"),
    ("floor: 2^-25 + 2^-47", "f16", "0800 0001", "0c00 0002", "0000", "0000", "0000", "0000"),
    ("subnormal f16 C keeps e = -14 (5 b)", "f16", "8800 0001", "0c00 0100", "0001", "0000", "0000", "0000"),
    ("NaN C", "f16", "3c00", "3c00", "fe01", "7fff", "7fff", "7fff"),
)  # fmt: skip


def elements(text: str) -> list[int]:
    """Read ``"6c00 6800"``, ``"3fff x16"`` or ``"k0=7000, k8=f000"``."""
    result = [0] * 16
    if "x16" in text:
        return [int(text.split()[0], 16)] * 16
    if "=" in text:
        for item in text.split(", "):
            k, value = item.split("=")
            result[int(k[1:])] = int(value, 16)
        return result
    for k, value in enumerate(text.split()):
        result[k] = int(value, 16)
    return result


def run_block(a, b, c, rule, output, align="rtz", rounding=None):
    """The block chain of binary16 factors."""
    terms, fraction_bits, z32, z16 = rule
    fmt, zero, mode = (BINARY32, z32, "rtz") if output == "f32" else (BINARY16, z16, "rne")
    return run_unit(a, b, c, sums.Unit(terms, fraction_bits, zero, fmt, rounding or mode, align))


def run_unit(a, b, c, row):
    """The block chain out of the core's scalars, as any loop composes them."""
    fields, (left, right) = layout(row.fmt), map(layout, row.inputs)
    control = control_word(as_rounding(row.mode), CUDA)
    cut = control_word(as_rounding(row.cut), CUDA)
    for first in range(0, len(a), row.terms):
        last = first + row.terms
        block = [dot.product(x, y, left, right) for x, y in zip(a[first:last], b[first:last], strict=True)]
        addend = dot.addend(c, fields)
        point = fields.precision - 1
        status, largest = addend[0], max(row.zero_exponent, dot.alignment_exponent(addend[2], addend[3], point))
        for seen, _, exponent, significand in block:
            status |= seen
            point = left.precision + right.precision - 2
            largest = max(largest, dot.alignment_exponent(exponent, significand, point))
        unit = largest - row.fraction_bits
        total = sum(dot.align(*term[1:], unit, cut) for term in [addend, *block])
        c = dot.finish_block(status, total, unit, fields, control, 0)
    return c


@pytest.mark.parametrize("column", RULES)
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case[0]}-{case[1]}")
def test_golden_values(case, column):
    _, output, a, b, c, *want = case
    expected = want[list(RULES).index(column)]
    got = run_block(elements(a), elements(b), int(c, 16), RULES[column], output)
    assert f"{got:0{len(expected)}x}" == expected


def operands(count, seed):
    rng = np.random.default_rng(seed)
    corner = patterns(level=1)
    corner = corner[(corner & 0x7C00) != 0x7C00].astype(np.int64)
    special = np.concatenate([NANS.astype(np.int64), [0x7C00, 0xFC00, 0, 0x8000, 0x3C00, 1]])
    tiny = rng.integers(0, 0x2000, (count, 16)) | rng.integers(0, 2, (count, 16)) << 15
    near = (rng.integers(13, 18, (count, 16)) << 10) | rng.integers(0, 1024, (count, 16))
    near |= rng.integers(0, 2, (count, 16)) << 15
    kinds = [rng.integers(0, 0x7C00, (count, 16)), rng.choice(corner, (count, 16)), tiny, near]
    kinds.append(np.where(rng.random((count, 16)) < 0.1, rng.choice(special, (count, 16)), near))
    return np.choose(rng.choice(5, count, p=[0.2, 0.25, 0.25, 0.25, 0.05])[:, None], kinds)


@pytest.mark.parametrize("output", ["f32", "f16"])
@pytest.mark.parametrize("column", RULES)
@pytest.mark.parametrize(("align", "rounding"), [("rtz", None), ("rdn", None), ("rne", None), ("rtz", "rup")])
def test_the_block_equals_its_rational_definition(column, output, align, rounding):
    terms, fraction_bits, z32, z16 = rule = RULES[column]
    a, b = operands(150, 1), operands(150, 2)
    b[::3] = a[::3] ^ (np.arange(16) % 2 << 15)
    rng = np.random.default_rng(3)
    width = 32 if output == "f32" else 16
    wild = rng.integers(0, 1 << width, 150)
    plain = rng.standard_normal(150).astype(f"f{width // 8}").view(f"u{width // 8}").astype(np.int64)
    c = np.choose(rng.integers(0, 3, 150), [wild, plain, np.zeros(150, np.int64)])
    fmt, zero, mode = (BINARY32, z32, "rtz") if output == "f32" else (BINARY16, z16, "rne")
    unit = sums.Unit(terms, fraction_bits, zero, fmt, rounding or mode, align)
    for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True):
        assert run_block(x, y, z, rule, output, align, rounding) == sums.block_chain(x, y, z, unit), (x, y, hex(z))


E8M13 = Format("E8M13", 22, 14, -126, 127)
E2M1 = Format("E2M1", 4, 2, 0, 2, Specials.none)
UNITS = {
    "bfloat16": sums.Unit(8, 24, -132, BINARY32, "rtz", inputs=(BFLOAT16, BFLOAT16)),
    "TF32": sums.Unit(4, 24, -132, BINARY32, "rtz", inputs=(TF32, TF32)),
    "E4M3": sums.Unit(16, 13, -132, E8M13, "rtz", inputs=(E4M3, E4M3)),
    "E5M2 to binary16": sums.Unit(16, 13, -21, BINARY16, "rne", inputs=(E5M2, E5M2)),
    "E4M3 times E5M2": sums.Unit(16, 25, -133, BINARY32, "rtz", inputs=(E4M3, E5M2)),
    "TF32 times E2M1": sums.Unit(16, 25, -133, BINARY32, "rtz", inputs=(TF32, E2M1)),
    "binary32 times bfloat16": sums.Unit(4, 48, -300, BINARY32, "rne", "rdn", inputs=(BINARY32, BFLOAT16)),
}


def words(fmt, shape, rng):
    """Patterns of a format: any, near 1, subnormal, corners of the encoding."""
    sign = rng.integers(0, 2, shape) << (fmt.width - 1)
    scale = fmt.precision - 1
    top = (1 << (fmt.width - 1)) - 1
    near = (np.clip(rng.integers(-3, 4, shape) + fmt.bias, 0, None) << scale) | rng.integers(0, 1 << scale, shape)
    corners = [0, 1, (1 << scale) - 1, 1 << scale, top, top - 1, top ^ ((1 << scale) - 1), fmt.bias << scale]
    kinds = [
        rng.integers(0, top + 1, shape),
        near & top,
        rng.integers(0, 2 << scale, shape),
        rng.choice(corners, shape),
    ]
    return np.choose(rng.choice(4, (shape[0], 1), p=[0.25, 0.5, 0.15, 0.1]), kinds) | sign


@pytest.mark.parametrize("name", UNITS)
def test_blocks_of_other_formats_equal_the_rational_definition(name):
    row = UNITS[name]
    rng = np.random.default_rng(17)
    a, b = (words(fmt, (300, 16), rng) for fmt in row.inputs)
    half = a[::2, :8]
    a[::2, 8:] = half ^ (1 << (row.inputs[0].width - 1))
    b[::2, 8:] = b[::2, :8] ^ rng.choice([0, 0, 0, 1], half.shape)
    c = words(row.fmt, (300, 1), rng)[:, 0]
    results = [sums.block_chain(x, y, z, row) for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    assert [run_unit(*case, row) for case in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)] == results
    assert len(set(results)) > 150


def test_an_overflowing_block_is_infinite_in_every_direction():
    big, one, minus = 0x7F7F, 0x3F80, 0xBF80
    for mode in ("rtz", "rne", "rdn", "rup", "odd"):
        row = sums.Unit(8, 24, -132, BINARY32, mode, inputs=(BFLOAT16, BFLOAT16))
        assert run_unit([big, big], [one, one], 0, row) == 0x7F800000
        assert run_unit([big, big], [minus, minus], 0, row) == 0xFF800000
        # Terms do not overflow: a product beyond the range cancels.
        assert run_unit([big, big, one], [big, big | 0x8000, one], 0, row) == 0


def long_sum(a, b, c, fields, to, control):
    """The long accumulator out of the core's scalars."""
    limbs = [0] * dot.LIMBS
    terms = [dot.addend(c, fields)] + [dot.product(x, y, F16, F16) for x, y in zip(a, b, strict=True)]
    status = 0
    for seen, sign, exponent, significand in terms:
        status |= seen
        first = dot.limb_index(exponent, dot.EXACT_BOTTOM)
        for j in (first, first + 1):
            limbs[j] += dot.limb(sign, exponent, significand, j, dot.EXACT_BOTTOM)
    value = sum(x << dot.LIMB_BITS * j for j, x in enumerate(limbs))
    digits = [abs(value) >> dot.LIMB_BITS * j & (1 << dot.LIMB_BITS) - 1 for j in range(dot.LIMBS)]
    top = max((j for j in range(dot.LIMBS) if digits[j]), default=0)
    below = [digits[j] if j >= 0 else 0 for j in (top, top - 1, top - 2)]
    sticky = int(any(digits[: max(top - 2, 0)]))
    return dot.finish_exact(status, int(value < 0), top, *below, sticky, dot.EXACT_BOTTOM, to, control, 0)


@pytest.mark.parametrize("mode", ["rne", "rtz", "rdn", "rup", "rna", "odd"])
def test_the_exact_sum_equals_its_rational_definition(mode):
    a, b = operands(200, 4), operands(200, 5)
    b[::2, 8:] = b[::2, :8]
    a[::2, 8:] = a[::2, :8] ^ 0x8000
    c = np.random.default_rng(6).integers(0, 1 << 32, 200)
    c[::4] = 0
    control = control_word(as_rounding(mode), Environment())
    for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True):
        for fmt in (BINARY16, BINARY32):
            want = sums.exact(x, y, z, BINARY32, fmt, sums.Draws(mode))
            assert long_sum(x, y, z, F32, layout(fmt), control) == want, (x, y, hex(z))


def test_exact_zeros_follow_ieee():
    for mode, mixed in (("rne", 0), ("rdn", 0x8000)):
        control = control_word(as_rounding(mode), Environment())
        one, minus_zero = 0x3C00, 0x8000
        assert long_sum([minus_zero], [one], 0x8000, F16, F16, control) == (0x8000, 0)
        assert long_sum([0], [one], 0, F16, F16, control) == (0, 0)
        assert long_sum([minus_zero], [one], 0, F16, F16, control) == (mixed, 0)
        assert long_sum([one], [one], 0xBC00, F16, F16, control) == (mixed, 0)


def test_limbs_hold_every_addend():
    for c in (0x00000001, 0x7F7FFFFF, 0xFF7FFFFF, 0x80000001, 0x00800000):
        control = control_word(as_rounding("rne"), Environment())
        assert long_sum([0], [0x3C00], c, F32, F32, control) == (c, 0)
