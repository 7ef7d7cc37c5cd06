"""Environments: NaN rules of five machines, tininess, flushing and invalid integers, against the manuals."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import halfsim as hs
from tests.checking import as_environment, assert_same, flagged, rational_table
from tests.oracles import corners, rational

MACHINES = list(rational.MACHINES.values())
INVALID = hs.Flags.invalid
# Quiet and signaling NaNs of both signs, numbers, infinities, zeros, a subnormal.
GRID = np.concatenate([corners.NANS, [0, 0x8000, 0x7C00, 0xFC00, 0x3C00, 0xBC00, 0x0001, 0x7BFF]]).astype(np.uint64)
MODES = ["rne", "rdn"]

Q1, Q2, Q3 = 0x7E01, 0xFE02, 0x7F03
S1, S2, S3 = 0x7C01, 0xFC02, 0x7D03
INF, ZERO, ONE = 0x7C00, 0x0000, 0x3C00


def _run(name, *bits, environment):
    value, flags = getattr(hs, name).flagged(*[hs.from_bits(b) for b in bits], environment=environment)
    return int(hs.to_bits(value)), int(flags)


# --- All machines, all NaN combinations, by the oracle's table ---


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "remainder"])
def test_two_operand_nan_grid(name, machine):
    operands = [g.ravel() for g in np.meshgrid(GRID, GRID)]
    for mode in MODES:
        context = rational.Context(mode, machine)
        want = rational_table(getattr(rational, name), operands, context)
        assert_same(f"{name} {machine.name}", operands, want, flagged(name, operands, context))


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
def test_fma_nan_grid(machine):
    operands = [g.ravel() for g in np.meshgrid(GRID, GRID, GRID)]
    context = rational.Context(machine=machine)
    want = rational_table(rational.fma, operands, context)
    assert_same(f"fma {machine.name}", operands, want, flagged("fma", operands, context))


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
def test_one_operand_nans_and_invalid(machine):
    context = rational.Context(machine=machine)
    every = np.arange(65536, dtype=np.uint64)
    for name in ("sqrt", "round_to_integral"):
        want = rational_table(getattr(rational, name), [every], context)
        assert_same(f"{name} {machine.name}", [every], want, flagged(name, [every], context))


# --- The same rules written out, machine by machine ---


@pytest.mark.parametrize(
    ("environment", "nan"),
    [
        (hs.IEEE, 0x7E00),
        (hs.X86, 0xFE00),
        (hs.ARM, 0x7E00),
        (hs.ARM_DEFAULT_NAN, 0x7E00),
        (hs.RISCV, 0x7E00),
        (hs.CUDA, 0x7FFF),
    ],
    ids=["IEEE", "X86", "ARM", "ARM_DEFAULT_NAN", "RISCV", "CUDA"],
)
def test_default_nan(environment, nan):
    assert _run("subtract", INF, INF, environment=environment) == (nan, INVALID)
    assert _run("multiply", INF, ZERO, environment=environment) == (nan, INVALID)
    assert _run("divide", ZERO, ZERO, environment=environment) == (nan, INVALID)
    assert _run("sqrt", 0xBC00, environment=environment) == (nan, INVALID)
    assert _run("remainder", ONE, ZERO, environment=environment) == (nan, INVALID)
    assert _run("fma", INF, ZERO, ONE, environment=environment) == (nan, INVALID)
    assert _run("fma", INF, ONE, 0xFC00, environment=environment) == (nan, INVALID)


@pytest.mark.parametrize("environment", [hs.IEEE, hs.X86], ids=["IEEE", "X86"])
def test_first_nan_passes_quieted(environment):
    assert _run("add", Q1, Q2, environment=environment) == (Q1, 0)
    assert _run("add", Q2, S1, environment=environment) == (Q2, INVALID)
    assert _run("add", S2, Q1, environment=environment) == (S2 | 0x0200, INVALID)
    assert _run("add", ONE, S2, environment=environment) == (S2 | 0x0200, INVALID)
    for a, b, c in itertools.permutations([Q1, S2, ONE]):
        first = next(x for x in (a, b, c) if x != ONE)
        assert _run("fma", a, b, c, environment=environment) == (first | 0x0200, INVALID)


def test_arm_passes_signaling_first_and_the_addend_before_the_factors():
    assert _run("add", Q1, Q2, environment=hs.ARM) == (Q1, 0)
    assert _run("add", Q1, S2, environment=hs.ARM) == (S2 | 0x0200, INVALID)
    assert _run("fma", Q1, Q2, Q3, environment=hs.ARM) == (Q3, 0)
    assert _run("fma", Q1, Q2, ONE, environment=hs.ARM) == (Q1, 0)
    assert _run("fma", S1, S2, S3, environment=hs.ARM) == (S3 | 0x0200, INVALID)
    assert _run("fma", S1, Q2, Q3, environment=hs.ARM) == (S1 | 0x0200, INVALID)
    assert _run("fma", 0x7E01, 0x7E00, 0x7E00, environment=hs.ARM) == (0x7E00, 0)


def test_infinity_times_zero_plus_nan():
    """Silicon of x86 passes the quiet addend without a flag; Arm and RISC-V give the default NaN and raise invalid."""
    assert _run("fma", ZERO, INF, 0x7FFF, environment=hs.X86) == (0x7FFF, 0)
    assert _run("fma", INF, ZERO, Q2, environment=hs.IEEE) == (Q2, 0)
    assert _run("fma", ZERO, INF, 0x7FFF, environment=hs.ARM) == (0x7E00, INVALID)
    assert _run("fma", ZERO, INF, 0x7FFF, environment=hs.ARM_DEFAULT_NAN) == (0x7E00, INVALID)
    assert _run("fma", ZERO, INF, Q1, environment=hs.RISCV) == (0x7E00, INVALID)
    assert _run("fma", ZERO, INF, Q1, environment=hs.CUDA)[0] == 0x7FFF
    for environment, want in [
        (hs.X86, S2 | 0x0200),
        (hs.ARM, S2 | 0x0200),
        (hs.ARM_DEFAULT_NAN, 0x7E00),
        (hs.RISCV, 0x7E00),
        (hs.CUDA, 0x7FFF),
    ]:
        assert _run("fma", INF, ZERO, S2, environment=environment) == (want, INVALID)


@pytest.mark.parametrize(
    ("environment", "nan"),
    [(hs.ARM_DEFAULT_NAN, 0x7E00), (hs.RISCV, 0x7E00), (hs.CUDA, 0x7FFF)],
    ids=["dn", "rv", "cu"],
)
def test_payloads_and_signs_are_dropped(environment, nan):
    for quiet in (0xFE00, 0x7FFF, 0xFFFF, Q2):
        assert _run("multiply", quiet, ONE, environment=environment) == (nan, 0)
        assert _run("sqrt", quiet, environment=environment) == (nan, 0)
        assert _run("fma", ONE, ONE, quiet, environment=environment) == (nan, 0)
    assert _run("multiply", ONE, S2, environment=environment) == (nan, INVALID)


def test_nans_to_binary32():
    """Payload left-aligned and quieted where the machine keeps it, the default NaN where not."""
    for environment, want in [
        (hs.IEEE, 0xFFC0_4000),
        (hs.X86, 0xFFC0_4000),
        (hs.ARM, 0xFFC0_4000),
        (hs.ARM_DEFAULT_NAN, 0x7FC0_0000),
        (hs.RISCV, 0x7FC0_0000),
        (hs.CUDA, 0x7FFF_FFFF),
    ]:
        value, flags = hs.convert.flagged(hs.from_bits(0xFC02), hs.BINARY32, environment=environment)
        assert (int(value.view(np.uint32)), int(flags)) == (want, INVALID)


# --- Float to integer ---

OUT_OF_RANGE = np.float32([np.nan, 1e30, -1e30, np.inf, -np.inf])


@pytest.mark.parametrize(
    ("environment", "signed", "unsigned"),
    [
        (hs.X86, [-(2**31)] * 5, [2**32 - 1] * 5),
        (hs.ARM, [0, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31)], [0, 2**32 - 1, 0, 2**32 - 1, 0]),
        (hs.CUDA, [0, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31)], [0, 2**32 - 1, 0, 2**32 - 1, 0]),
        (hs.RISCV, [2**31 - 1, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31)], [2**32 - 1, 2**32 - 1, 0, 2**32 - 1, 0]),
    ],
    ids=["X86", "ARM", "CUDA", "RISCV"],
)
def test_integers_of_invalid_conversions(environment, signed, unsigned):
    for dtype, want in ((np.int32, signed), (np.uint32, unsigned)):
        value, flags = hs.convert.flagged(OUT_OF_RANGE, dtype, environment=environment, exact=True)
        assert value.tolist() == want
        assert flags.tolist() == [INVALID] * 5


def test_a_small_negative_number_is_an_unsigned_zero():
    value, flags = hs.convert.flagged(np.float16(-0.5), np.uint8, rounding="rtz", exact=True)
    assert (value, flags) == (0, hs.Flags.inexact)
    value, flags = hs.convert.flagged(np.float16(-0.75), np.uint8, environment=hs.X86, exact=True)
    assert (value, flags) == (255, INVALID)


# --- Tininess ---


def test_tininess_decides_underflow_just_below_the_smallest_normal_number():
    # 1025/1024 * 1023 * 2**-24 = (1 - 2**-20) * 2**-14, which 11 bits and any exponent round up to 2**-14.
    a, b = hs.from_bits(0x3C01), hs.from_bits(0x03FF)
    for rounding, bits, after in [("rne", 0x0400, 1), ("rup", 0x0400, 1), ("rna", 0x0400, 1), ("rtz", 0x03FF, 3)]:
        for environment, want in ((hs.IEEE, after), (hs.ARM, 3)):
            value, flags = hs.multiply.flagged(a, b, rounding=rounding, environment=environment)
            assert (hs.to_bits(value), flags) == (bits, want)


@pytest.mark.parametrize("environment", [hs.IEEE, hs.X86, hs.RISCV, hs.CUDA], ids=["IEEE", "X86", "RISCV", "CUDA"])
def test_only_arm_detects_tininess_before_rounding(environment):
    assert environment.tininess == hs.Tininess.afterRounding
    assert hs.ARM.tininess == hs.ARM_DEFAULT_NAN.tininess == hs.Tininess.beforeRounding


def test_tininess_changes_only_the_underflow_flag():
    a, b = corners.pairs(20_000, seed=71)
    small = (a & 0x7FFF) | 1
    for rounding in rational.MODES:
        after = flagged("multiply", (small, b), rational.Context(rounding))
        machine = dataclasses.replace(rational.IEEE, tininess="before")
        before = flagged("multiply", (small, b), rational.Context(rounding, machine))
        assert_same("values", (small, b), [after[0]], [before[0]])
        assert not ((after[1] ^ before[1]) & ~np.uint8(2)).any()
        assert not (after[1] & ~before[1]).any(), "tiny after rounding is tiny before"


# --- Flushing ---


def test_flushed_inputs_are_zeros_of_their_sign_without_a_flag():
    environment = hs.Environment(flush_inputs=True)
    assert _run("add", 0x0001, 0x83FF, environment=environment) == (0x0000, 0)
    assert _run("add", 0x8001, 0x83FF, environment=environment) == (0x8000, 0)
    assert _run("add", 0x03FF, ONE, environment=environment) == (ONE, 0)
    assert _run("divide", ONE, 0x83FF, environment=environment) == (0xFC00, hs.Flags.divideByZero)
    assert _run("multiply", INF, 0x0001, environment=environment)[1] == INVALID
    assert _run("sqrt", 0x83FF, environment=environment) == (0x8000, 0)
    assert bool(hs.equal(hs.from_bits(0x0001), hs.from_bits(0x8000), environment=environment))


def test_flushed_results_raise_underflow_and_inexact():
    environment = hs.Environment(flush_results=True)
    both = hs.Flags.underflow | hs.Flags.inexact
    assert _run("subtract", 0x0401, 0x0400, environment=environment) == (0x0000, both)
    assert _run("subtract", 0x0400, 0x0401, environment=environment) == (0x8000, both)
    assert _run("multiply", 0x0400, 0x3800, environment=environment) == (0x0000, both)
    assert _run("add", 0x0001, 0x0001, environment=environment) == (0x0000, both)
    assert _run("subtract", ONE, ONE, environment=environment) == (0x0000, 0)


def test_flushed_results_of_arm_raise_underflow_alone():
    environment = dataclasses.replace(hs.ARM, flush_results=True)
    assert _run("multiply", 0x0401, 0x3801, environment=environment) == (0x0000, hs.Flags.underflow)
    assert _run("add", 0x0001, 0x0001, environment=environment) == (0x0000, hs.Flags.underflow)
    assert _run("multiply", 0x3C01, 0x3C01, environment=environment)[1] == hs.Flags.inexact
    general = hs.multiply.flagged(
        hs.from_bits(0x0401), hs.from_bits(0x3801), environment=environment, rounding=hs.Stochastic(bits=8, seed=1)
    )
    assert general == (0, hs.Flags.underflow)


@pytest.mark.parametrize("default", hs.DefaultNaN)
def test_the_default_nan_of_a_format_with_one_nan_keeps_its_sign(default):
    environment = hs.Environment(nan=hs.NaNRule(default=default))
    machine = dataclasses.replace(
        rational.MACHINES["RISCV"],
        default_sign=int(default is hs.DefaultNaN.negative),
        default_payload="ones" if default is hs.DefaultNaN.allOnes else "quiet",
    )
    for target in (hs.E4M3, hs.E5M2, hs.BINARY32):
        nan = hs.convert(np.float16(np.nan), target, environment=environment)
        assert np.isnan(nan)
        assert np.signbit(nan) == rational.default_nan(machine, target) >> (target.width - 1), target


@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
        (hs.Environment, "flush_inputs", 2),
        (hs.Environment, "flush_results", 1),
        (hs.Environment, "tininess", "beforeRounding"),
        (hs.Environment, "nan", "x"),
        (hs.Environment, "invalid_integer", 1),
        (hs.NaNRule, "default", 1),
        (hs.NaNRule, "addend_first", "yes"),
    ],
)
def test_fields_of_another_type_are_refused(row, field, value):
    with pytest.raises(TypeError, match=rf"^{row.__name__}: {field}={value!r} is of type .*; pass a "):
        row(**{field: value})


@pytest.mark.parametrize("name", ["negative", "absolute", "copysign", "nextup", "nextdown"])
def test_sign_operations_and_neighbours_see_subnormals(name):
    environment = dataclasses.replace(hs.IEEE, flush_inputs=True, flush_results=True)
    x = hs.from_bits(np.arange(0, 0x8000, 17))
    operands = (x, x) if name == "copysign" else (x,)
    operation = getattr(hs, name)
    np.testing.assert_array_equal(
        hs.to_bits(operation(*operands, environment=environment)), hs.to_bits(operation(*operands))
    )


# --- Rows, not presets: every combination of a user's environment ---


def test_every_rule_combines():
    """A made-up machine of each combination against the oracle."""
    operands = [g.ravel()[::5] for g in np.meshgrid(GRID, GRID, GRID)]
    choices = {
        "default": hs.NaNOperand.none,
        "first": hs.NaNOperand.first,
        "signaling first": hs.NaNOperand.signalingFirst,
    }
    for choice, order, undefined in itertools.product(choices, ("abc", "cab"), ("default and invalid", "operand")):
        machine = dataclasses.replace(
            rational.MACHINES["X86"], choice=choice, fma_order=order, infinity_zero_quiet=undefined
        )
        rule = hs.NaNRule(
            default=hs.DefaultNaN.negative,
            operand=choices[choice],
            addend_first=order == "cab",
            inf_times_zero_invalid=undefined == "default and invalid",
        )
        want = rational_table(rational.fma, operands, rational.Context(machine=machine))
        value, flags = hs.fma.flagged(*[hs.from_bits(x) for x in operands], environment=hs.Environment(nan=rule))
        assert_same(f"{choice} {order} {undefined}", operands, want, [hs.to_bits(value), flags])


def test_a_variant_of_a_preset():
    variant = dataclasses.replace(hs.RISCV, tininess=hs.Tininess.beforeRounding)
    assert variant != hs.RISCV
    assert variant == as_environment(dataclasses.replace(rational.MACHINES["RISCV"], tininess="before"))
    assert _run("add", Q1, ONE, environment=variant) == (0x7E00, 0)
