"""Every family holds what its intention says, in rows that do not depend on how they are asked for."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

import halfsim as hs
from halfsim.testvectors import SUBJECTS, subject
from halfsim.testvectors.cases import FAMILIES, MODELS, plan
from halfsim.testvectors.cases.family import unsigned
from halfsim.testvectors.cases.significands import brim_products, hard_quotients, near_half_products
from halfsim.testvectors.formats.names import TYPES

NAMES = {family.name for family in FAMILIES}
ARITHMETIC = ("add", "subtract", "multiply", "divide", "fma", "remainder")


def rows(name, *families, level=1, **options):
    chosen = plan(subject(name), families or None, level=level, **options)
    return chosen.block(0, chosen.rows).words


@cache
def number(bits):
    x = float(hs.from_bits(bits))
    return Fraction(x) if np.isfinite(x) else None


def numbers(words):
    return map(number, words.tolist())


def exact(name, operands):
    a, b, *rest = operands
    match name:
        case "add":
            return a + b
        case "subtract":
            return a - b
        case "multiply":
            return a * b
        case "divide":
            return a / b if b else None
        case "fma":
            return a * b + rest[0]


def units(value):
    """A value in units of the last place of binary16."""
    exponent = max(value.numerator.bit_length() - value.denominator.bit_length() - 1, -15)
    while Fraction(2) ** (exponent + 1) <= abs(value):
        exponent += 1
    return value / Fraction(2) ** (max(exponent, -14) - 10)


@pytest.mark.parametrize("known", SUBJECTS, ids=lambda known: known.name)
def test_rows_have_the_types_of_the_operands(known):
    chosen = plan(known)
    block = chosen.block(0, min(chosen.rows, 70_000))
    assert len(block.words) == len(known.operands)
    for words, kind in zip(block.words, known.operands, strict=True):
        assert words.dtype == unsigned(kind)
        if TYPES[kind] < 8 * words.itemsize:
            assert int(words.max()) >> TYPES[kind] == 0
    assert set(chosen.families) <= NAMES


@pytest.mark.parametrize("name", [*ARITHMETIC, "scaleb", "minimum", "convert_f64_f16", "convert_i64_f16", "sqrt"])
def test_rows_do_not_depend_on_blocks_or_shards(name):
    chosen = plan(subject(name))
    whole = chosen.block(0, chosen.rows).words
    for shards, size in ((1, 1000), (7, 4096)):
        parts = [block for i in range(shards) for block in chosen.blocks((i + 1, shards), size)]
        assert [part.first for part in parts] == sorted(part.first for part in parts)
        for position, words in enumerate(whole):
            assert np.array_equal(np.concatenate([part.words[position] for part in parts]), words)


# Another digest means other vectors: a change that users see.
DIGESTS = {
    "add": "67ffa140f1355b7b",
    "multiply": "fd20f35534894cbe",
    "divide": "13bdea744648e25d",
    "fma": "a9b193a95ad2be12",
    "remainder": "c7c4d279cfa97f21",
    "convert_f32_f16": "d8389e5bca4b1c96",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_the_rows_of_a_seed_are_fixed(name):
    words = rows(name, seed=7)
    digest = hashlib.sha256(b"".join(column.astype(column.dtype.newbyteorder("<")).tobytes() for column in words))
    assert digest.hexdigest()[:16] == DIGESTS[name]


def test_another_seed_changes_drawn_rows_alone():
    for family in ("uniform", "log-uniform", "cancellation"):
        assert not np.array_equal(rows("add", family, seed=1)[0], rows("add", family, seed=2)[0])
    assert np.array_equal(rows("add", "corners", seed=1)[0], rows("add", "corners", seed=2)[0])


def test_an_exhaustive_plan_is_complete_and_alone():
    assert plan(subject("sqrt")).families == ("exhaustive",)
    assert np.array_equal(rows("sqrt")[0], np.arange(1 << 16))
    pairs = plan(subject("add"), ["pairs"])
    assert pairs.rows == 1 << 32
    block = pairs.block((1 << 32) - 3, 1 << 32).words
    assert [words.tolist() for words in block] == [[0xFFFF] * 3, [0xFFFD, 0xFFFE, 0xFFFF]]


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "fma"])
def test_halfway_rows_are_ties_or_beside_one(name):
    words = rows(name, "halfway", level=2)
    ties = near = other = 0
    for operands in list(zip(*map(numbers, words), strict=True))[:: len(words[0]) // 1500 | 1]:
        value = exact(name, operands)
        largest = max(map(abs, operands)) if name in ("add", "subtract") else abs(operands[-1]) if name == "fma" else 0
        if not value or abs(value) >= 65536 or abs(value) < largest:
            continue  # what is a tie of a sum need not be one of a difference
        rest = units(value) % 1
        if rest == Fraction(1, 2):
            ties += 1
        # Beside a tie, or beside a number, by little, or by one unit of what is discarded.
        elif min(abs(rest - Fraction(1, 2)), rest, 1 - rest) <= max(Fraction(1, 256), Fraction(1, rest.denominator)):
            near += 1
        else:
            other += 1
    assert ties > 50
    assert near > 50
    assert ties + near > other


def test_every_near_half_product_is_listed():
    a, b = np.meshgrid(np.arange(1024, 2048), np.arange(1024, 2048), indexing="ij")
    product = a * b
    found = near_half_products(0)
    bits = np.where(product >= 1 << 21, 11, 10)
    off = np.abs(product % (1 << bits) - (1 << (bits - 1)))
    assert found.a.size == (off <= 1).sum()
    assert set(zip(found.a.tolist(), found.b.tolist(), strict=True)) == {
        (int(x), int(y)) for x, y in zip(a[off <= 1], b[off <= 1], strict=True)
    }


def test_hard_quotients_are_hard():
    pairs = hard_quotients()
    assert pairs.a.size > 1000
    for x, y in zip(pairs.a[::97].tolist(), pairs.b[::97].tolist(), strict=True):
        quotient = Fraction(x, y)
        scaled = quotient * (2048 if quotient >= 1 else 4096)
        distance = min(scaled % 1, 1 - scaled % 1)
        assert 0 < distance <= Fraction(2, y)


@pytest.mark.parametrize("kind", ["f32", "f64", "i32", "ui64"])
def test_midpoints_and_their_neighbours(kind):
    (words,) = rows(f"convert_{kind}_f16", "midpoints", level=2)
    if kind in ("f32", "f64"):
        native = {"f32": np.float32, "f64": np.float64}[kind]
        numbers = words.view(native)
        values = set(numbers[np.isfinite(numbers)].tolist())  # compared with fractions exactly
    else:
        values = {int(x) for x in words.view(f"{'u' if kind[0] == 'u' else ''}int{TYPES[kind]}")}
    every = np.arange(0x7C00, dtype=np.uint16)
    edges = [Fraction(float(x)) for x in hs.from_bits(every)] + [Fraction(65536)]
    wanted = {(low + high) / 2 for low, high in itertools.pairwise(edges)}
    if kind[0] != "f":
        wanted = {value for value in wanted if value.denominator == 1}
        assert len(wanted) > 900
    assert wanted <= values
    if kind[0] != "u":
        assert {-value for value in wanted} <= values


def test_every_pair_that_tells_tininess_before_from_after_is_listed():
    """Products of positive numbers, a part of them: those between the largest 11 bits below 2^-14 and it."""
    chosen = plan(subject("multiply"), ["tininess"], level=2)
    a, b = (words & 0x7FFF for words in chosen.block(0, chosen.rows).words)
    listed = set(zip(a.tolist(), b.tolist(), strict=True))
    every = np.arange(1, 0x7C00, dtype=np.uint16)
    values = hs.from_bits(every).astype(np.float64)
    found = 0
    for first in range(1, 0x7C00, 53):
        product = float(hs.from_bits(np.uint16([first]))[0]) * values
        inside = (product > 2.0**-14 * (1 - 2.0**-11)) & (product < 2.0**-14)
        found += inside.sum()
        assert {(first, int(second)) for second in every[inside]} <= listed
    assert found > 100


def test_tininess_rows_differ():
    for name in ("multiply", "fma", "convert_f32_f16"):
        words = rows(name, "tininess")
        differing = 0
        for mode in ("rne", "rup", "rdn"):
            flags = [
                subject(name).evaluate(words, rounding=mode, environment=hs.Environment(tininess=tininess))[1]
                for tininess in hs.Tininess
            ]
            differing += (flags[0] != flags[1]).sum()
        assert differing > 40
    # Quotients never lie so near 2^-14; all 2^32 were compared.
    with pytest.raises(ValueError, match="tininess has no rows for divide; leave it out"):
        plan(subject("divide"), ["tininess"])


def test_brim_products_are_all_ones():
    pairs = brim_products()
    assert pairs.a.size > 500
    for x, y in zip(pairs.a.tolist()[::31], pairs.b.tolist()[::31], strict=True):
        assert bin(x * y)[2:].startswith("1" * 11)


@pytest.mark.parametrize(
    "name", ["add", "subtract", "multiply", "divide", "fma", "convert_f32_f16", "convert_ui32_f16"]
)
def test_overflow_rows_lie_on_both_sides(name):
    words = rows(name, "overflow")
    _, flags = subject(name).evaluate(words, rounding="rne")
    over = (flags & hs.Flags.overflow != 0).mean()
    assert 0.05 < over < 0.95


def test_cancellation_and_exact_zeros():
    for name in ("add", "subtract", "fma"):
        sums = [exact(name, row) for row in zip(*map(numbers, rows(name, "exact-zero")), strict=True)]
        assert len(sums) > 50
        assert set(sums) == {0}
        lost = total = 0
        for row in list(zip(*map(numbers, rows(name, "cancellation")), strict=True))[::9]:
            if None in row or not row[-1]:
                continue
            total += 1
            lost += abs(exact(name, row)) <= abs(row[-1]) / 64
        assert lost > total / 3


def test_nan_payloads_meet_everywhere():
    words = rows("fma", "nan-payloads")
    nan = [np.isnan(hs.from_bits(column)) for column in words]
    for choice in range(1, 8):
        wanted = [mask if choice >> i & 1 else ~mask for i, mask in enumerate(nan)]
        assert np.logical_and.reduce(wanted).any(), choice
    signaling = [mask & (column & 0x200 == 0) for mask, column in zip(nan, words, strict=True)]
    assert all(mask.any() for mask in signaling)


def test_subnormals_in_every_place():
    words = rows("fma", "subnormal")
    small = [(column & 0x7C00 == 0) & (column & 0x3FF != 0) for column in words]
    assert np.logical_or.reduce(small).all()
    assert np.logical_and.reduce(small).any()


def test_the_models_of_ibm_name_families():
    assert list(MODELS) == [f"B{i}" for i in range(1, 30)]
    for purpose, families in MODELS.values():
        assert purpose
        assert set(families) <= NAMES
    assert plan(subject("add"), ["B12"]).families == ("cancellation",)
    assert plan(subject("sqrt"), ["B20"]).families == ("exhaustive", "corners")
    with pytest.raises(ValueError, match=r"B12 \(cancellation: every number of leading bits\) has no rows for sqrt"):
        plan(subject("sqrt"), ["B12"])


def distances(a, b):
    """Distances of the exponents of finite numbers that are not zero."""
    exponents = [np.maximum(words >> 10 & 31, 1).astype(int) for words in (a, b)]
    counted = np.logical_and.reduce([(words & 0x7C00 != 0x7C00) & (words & 0x7FFF != 0) for words in (a, b)])
    return set((exponents[0] - exponents[1])[counted].tolist())


@pytest.mark.parametrize("name", ["add", "multiply", "divide", "fma"])
def test_b3_has_every_combination_of_last_bit_guard_and_sticky(name):
    seen = set()
    words = rows(name, "B3", level=2)
    for operands in list(zip(*map(numbers, words), strict=True))[:: len(words[0]) // 5_000 | 1]:
        value = None if None in operands else exact(name, operands)
        if value and 2**-13 < abs(value) < 65504:
            scaled = abs(units(value))
            whole, rest = int(scaled), scaled % 1
            seen.add((value < 0, whole % 2, rest >= Fraction(1, 2), rest % Fraction(1, 2) != 0))
    # A quotient of significands of 11 bits is never a tie of a normal number.
    assert len(seen) == (12 if name == "divide" else 16)


def test_models_of_alignment_have_every_distance():
    for model in ("B10", "B11"):
        assert distances(*rows("add", model)) == set(range(-29, 30))
    for model in ("B14", "B15"):
        a, b, c = rows("fma", model)
        with np.errstate(all="ignore"):
            product = hs.from_bits(a).astype(np.float64) * hs.from_bits(b).astype(np.float64)
        addend = hs.from_bits(c).astype(np.float64)
        finite = np.isfinite(product) & np.isfinite(addend) & (product != 0) & (addend != 0)
        apart = np.frexp(product[finite])[1] - np.frexp(addend[finite])[1]
        assert set(range(-40, 40)) <= set(apart.tolist())


@pytest.mark.parametrize(("name", "model"), [("add", "B12"), ("fma", "B16")])
def test_models_of_cancellation_lose_every_number_of_bits(name, model):
    lost = set()
    for row in zip(*map(numbers, rows(name, model)), strict=True):
        if None in row or not row[-1]:
            continue
        value = exact(name, row)
        if value:
            ratio = abs(row[-1]) / abs(value)
            lost.add(max(ratio.numerator.bit_length() - ratio.denominator.bit_length(), 0))
    assert set(range(11)) <= lost


def test_b6_and_b18_go_below_the_smallest_number():
    for name, model in (("multiply", "B6"), ("divide", "B6"), ("fma", "B18")):
        values = [exact(name, row) for row in zip(*map(numbers, rows(name, model)), strict=True) if None not in row]
        assert sum(bool(value) and abs(value) < Fraction(1, 1 << 25) for value in values) > 20


def test_b21_divides_everything_by_zero():
    a, b = rows("divide", "B21")
    zero = b & 0x7FFF == 0
    _, flags = subject("divide").evaluate([a[zero], b[zero]], environment=hs.RISCV)
    assert set((flags & (hs.Flags.divideByZero | hs.Flags.invalid)).tolist()) == {0, 8, 16}
    assert len(set(hs.classify(hs.from_bits(a[zero])).tolist())) == 10


def test_b22_has_exponents_about_those_of_the_target():
    (words,) = rows("convert_f32_f16", "B22")
    exponents = set(((words >> 23) & 255).astype(int) - 127)
    assert set(range(-27, 18)) <= exponents


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", ["tie"]), "unknown family 'tie'; known are exact-zero|unknown family 'tie'; known are exhaustive"),
        (("add", ["midpoints"]), "midpoints has no rows for add"),
    ],
)
def test_unknown_families_are_refused(arguments, message):
    name, families = arguments
    with pytest.raises(ValueError, match=message):
        plan(subject(name), families)
    with pytest.raises(ValueError, match=r"level=3 is not 1 \(compact\) or 2 \(large\)"):
        plan(subject("add"), level=3)
