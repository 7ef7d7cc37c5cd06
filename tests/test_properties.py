"""Laws of the arithmetic, on bit patterns drawn by Hypothesis: every pattern is as likely as the next."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import halfsim as hs
from tests.checking import as_environment
from tests.oracles import rational

MORE = settings(max_examples=max(200, settings.default.max_examples))

# Half of the patterns are corners: random exponents rarely meet.
CORNERS = [
    0x0000,
    0x0001,
    0x03FF,
    0x0400,
    0x3BFF,
    0x3C00,
    0x3C01,
    0x7800,
    0x7BFF,
    0x7C00,
    0x7C01,
    0x7DFF,
    0x7E00,
    0x7FFF,
]
patterns = st.integers(0, 0xFFFF) | st.sampled_from(CORNERS + [b | 0x8000 for b in CORNERS])
numbers = patterns.filter(lambda b: b & 0x7FFF <= 0x7C00)
finite = patterns.filter(lambda b: b & 0x7FFF < 0x7C00)
modes = st.sampled_from(rational.MODES)
stochastic = st.builds(hs.Stochastic, bits=st.integers(1, 32), seed=st.integers(0, 2**64 - 1))
machines = st.builds(
    lambda name, tininess, inputs, results: dataclasses.replace(
        rational.MACHINES[name], tininess=tininess, flush_inputs=inputs, flush_results=results
    ),
    st.sampled_from(sorted(rational.MACHINES)),
    st.sampled_from(["after", "before"]),
    st.booleans(),
    st.booleans(),
)


@st.composite
def formats(draw):
    """Any format the package can describe, the exponent range anywhere."""
    exponent_bits = draw(st.integers(1, 11))
    precision = draw(st.integers(2, min(53, 64 - exponent_bits)))
    specials = draw(st.sampled_from(list(hs.Specials)))
    span = 2**exponent_bits - 1 - (specials == hs.Specials.ieee)
    assume(1 <= span <= 2046)
    emin = draw(st.integers(-1022, 1023 - span + 1) | st.just(max(-1022, 1 - span // 2)))
    assume(emin + span - 1 <= 1023)
    return hs.Format("drawn", exponent_bits + precision, precision, emin, emin + span - 1, specials)


def run(name, *bits, mode="rne", environment=hs.RISCV, **options):
    value, flags = getattr(hs, name).flagged(
        *[hs.from_bits(b) for b in bits], rounding=mode, environment=environment, **options
    )
    return (int(hs.to_bits(value)) if isinstance(value, np.float16) else bool(value)), int(flags)


def negate(row):
    bits, flags = row
    return (bits if bits & 0x7FFF > 0x7C00 else bits ^ 0x8000), flags


MIRROR = {"rup": "rdn", "rdn": "rup"}


# --- Against exact arithmetic, everything drawn at once ---


@given(patterns, patterns, patterns, modes, machines)
@MORE
def test_fma_of_any_machine(a, b, c, mode, machine):
    want = rational.fma(a, b, c, rational.Context(mode, machine))
    assert run("fma", a, b, c, mode=mode, environment=as_environment(machine)) == want


@given(st.sampled_from(["add", "subtract", "multiply", "divide", "remainder"]), patterns, patterns, modes, machines)
@MORE
def test_two_operands_of_any_machine(name, a, b, mode, machine):
    want = getattr(rational, name)(a, b, rational.Context(mode, machine))
    assert run(name, a, b, mode=mode, environment=as_environment(machine)) == want


@given(formats(), st.integers(0, 2**64 - 1), modes, machines, st.booleans())
@MORE
def test_binary64_to_any_format(fmt, bits, mode, machine, saturate):
    x = np.uint64(bits).view(np.float64)
    value, flags = hs.convert.flagged(x, fmt, rounding=mode, environment=as_environment(machine), saturate=saturate)
    want, raised = rational.convert(bits, hs.BINARY64, fmt, rational.Context(mode, machine, saturate=saturate))
    holder = hs.BINARY64 if value.dtype == np.float64 else hs.BINARY32
    held, _ = (want, 0) if fmt == holder else rational.convert(want, fmt, holder)
    assert (int(value.view(np.uint64 if holder is hs.BINARY64 else np.uint32)), int(flags)) == (held, raised)


@given(formats(), st.integers(-(2**63), 2**63 - 1), modes)
def test_integers_to_any_format(fmt, integer, mode):
    value, flags = hs.convert.flagged(np.int64(integer), fmt, rounding=mode)
    want, raised = rational.from_integer(integer, rational.Context(mode), fmt)
    datum = rational.decode(want, fmt)
    assert flags == raised
    if datum.kind == "finite":
        assert Fraction(float(value)) == datum.value


# --- Symmetries ---


@given(patterns, patterns, modes | stochastic)
def test_sum_and_product_commute(a, b, mode):
    for name in ("add", "multiply"):
        assert run(name, a, b, mode=mode) == run(name, b, a, mode=mode)


@given(patterns, patterns, patterns, modes | stochastic)
def test_factors_of_fma_commute(a, b, c, mode):
    assert run("fma", a, b, c, mode=mode) == run("fma", b, a, c, mode=mode)


@given(patterns, patterns, modes | stochastic)
def test_negation_mirrors_directions(a, b, mode):
    other = MIRROR.get(mode, mode) if isinstance(mode, str) else mode
    assert run("multiply", a ^ 0x8000, b, mode=mode) == negate(run("multiply", a, b, mode=other))
    assert run("divide", a, b ^ 0x8000, mode=mode) == negate(run("divide", a, b, mode=other))
    assert run("round_to_integral", a ^ 0x8000, mode=mode) == negate(run("round_to_integral", a, mode=other))
    total = run("add", a, b, mode=other)
    # An exactly zero sum of unlike operands has its own rule.
    if total[0] & 0x7FFF or total[1] or a >> 15 == b >> 15:
        assert run("add", a ^ 0x8000, b ^ 0x8000, mode=mode) == negate(total)


@given(numbers, numbers, modes | stochastic)
def test_subtraction_is_addition_of_the_negative(a, b, mode):
    assert run("subtract", a, b, mode=mode) == run("add", a, b ^ 0x8000, mode=mode)


# --- fma and its parts ---


@given(patterns, patterns, modes | stochastic)
def test_fma_with_one_is_addition(a, c, mode):
    assert run("fma", a, 0x3C00, c, mode=mode) == run("add", a, c, mode=mode)


@given(patterns, patterns, modes | stochastic)
def test_fma_with_the_zero_of_the_product_is_multiplication(a, b, mode):
    zero = (a ^ b) & 0x8000
    assert run("fma", a, b, zero, mode=mode) == run("multiply", a, b, mode=mode)


@given(finite, finite)
def test_fma_recovers_the_error_of_a_product(a, b):
    product, flags = run("multiply", a, b)
    exact = rational.decode(a).value * rational.decode(b).value
    assume(flags & ~1 == 0 and product & 0x7FFF)
    error, raised = run("fma", a, b, product ^ 0x8000)
    remainder = exact - rational.decode(product).value
    if (remainder * 2**24).denominator == 1:
        assert rational.decode(error).value == remainder
        assert raised == 0


# --- Rounding ---


@given(st.sampled_from(["add", "multiply", "divide"]), finite, finite, modes | stochastic)
def test_every_mode_lies_between_the_directed_ones(name, a, b, mode):
    assume(name != "divide" or b & 0x7FFF)
    down, flags = run(name, a, b, mode="rdn")
    up, _ = run(name, a, b, mode="rup")
    bits, raised = run(name, a, b, mode=mode)
    assert bits in (down, up)
    assert raised & 1 == flags & 1
    if flags & 1 == 0:
        assert down & 0x7FFF == up & 0x7FFF
        assert raised == 0
    else:
        assert run("nextup", down)[0] == up


@given(numbers, numbers, modes)
def test_addition_is_monotonic(a, b, mode):
    greater, _ = run("nextup", a)
    assume(b & 0x7FFF < 0x7C00)
    assert run("less_equal", run("add", a, b, mode=mode)[0], run("add", greater, b, mode=mode)[0])[0]


@given(st.integers(0, 2**64 - 1), modes)
def test_rounding_to_odd_first_is_rounding_once(bits, mode):
    """binary64 to binary32 to odd, then to binary16 in any mode: the sticky bit makes it one rounding."""
    x = np.uint64(bits).view(np.float64)
    assume(np.isfinite(x))
    once = hs.convert.flagged(x, hs.BINARY16, rounding=mode)
    odd, first = hs.convert.flagged(x, hs.BINARY32, rounding="odd")
    twice, second = hs.convert.flagged(odd, hs.BINARY16, rounding=mode)
    assert hs.to_bits(once.value) == hs.to_bits(twice)
    assert once.flags & 1 == (first | second) & 1


@given(patterns, modes | stochastic)
def test_integral_values_are_fixed_points(a, mode):
    once, _ = run("round_to_integral", a, mode=mode)
    assert run("round_to_integral", once, mode=mode, exact=True) == (once, 0)
    if once & 0x7FFF < 0x7C00:
        assert rational.decode(once).value.denominator == 1


@given(finite, modes)
def test_conversion_to_integer_agrees_with_the_integral_value(a, mode):
    integral, _ = run("round_to_integral", a, mode=mode)
    value, flags = hs.convert.flagged(hs.from_bits(a), np.int64, rounding=mode)
    assert (int(value), int(flags)) == (int(rational.decode(integral).value), 0)


# --- Flags ---


@given(st.sampled_from(["add", "subtract", "multiply", "divide", "remainder"]), patterns, patterns, modes, machines)
def test_flags_keep_company(name, a, b, mode, machine):
    _, flags = run(name, a, b, mode=mode, environment=as_environment(machine))
    inexact, underflow, overflow, divide_by_zero, invalid = (bool(flags & flag) for flag in hs.Flags)
    # Arm alone flags a flushed result as underflow without inexact.
    flushed_quietly = machine.flush_results and not machine.flush_inexact
    assert inexact or not overflow
    assert inexact or not underflow or flushed_quietly
    assert not (underflow and overflow)
    assert not invalid or flags == hs.Flags.invalid
    assert not divide_by_zero or (flags == hs.Flags.divideByZero and name == "divide")
    assert name != "remainder" or machine.flush_results or not inexact


@given(patterns, patterns, patterns)
def test_invalid_makes_a_nan_and_only_nans_come_of_it(a, b, c):
    bits, flags = run("fma", a, b, c)
    operands = [x for x in (a, b, c) if x & 0x7FFF > 0x7C00]
    if flags & hs.Flags.invalid or operands:
        assert bits == 0x7E00
    else:
        assert bits & 0x7FFF <= 0x7C00


# --- Division, roots, remainders ---


@given(finite, st.integers(-14, 15), modes | stochastic)
def test_division_by_a_power_of_two_is_scaling(a, power, mode):
    divisor, _ = hs.scaleb.flagged(np.float16(1), power)
    assert run("divide", a, int(hs.to_bits(divisor)), mode=mode) == run_scaleb(a, -power, mode)


def run_scaleb(a, power, mode):
    value, flags = hs.scaleb.flagged(hs.from_bits(a), power, rounding=mode, environment=hs.RISCV)
    return int(hs.to_bits(value)), int(flags)


@given(st.integers(0, 0x7BFF), modes)
def test_the_root_brackets(a, mode):
    root, flags = run("sqrt", a, mode=mode)
    value, square = rational.decode(a).value, rational.decode(root).value ** 2
    assert (square == value) == (flags == 0)
    if mode in ("rdn", "rtz"):
        assert square <= value
    if mode == "rup":
        assert square >= value


@given(finite, finite)
def test_remainder_is_at_most_half_the_divisor(a, b):
    assume(b & 0x7FFF)
    bits, flags = run("remainder", a, b)
    x, y, r = (rational.decode(p).value for p in (a, b, bits))
    assert flags == 0
    assert 2 * abs(r) <= abs(y)
    assert ((x - r) / y).denominator == 1


@given(finite)
def test_logb_normalises(a):
    assume(a & 0x7FFF)
    exponent = int(hs.logb(hs.from_bits(a)))
    significand = abs(rational.decode(a).value) / rational._power(exponent)
    assert 1 <= significand < 2


# --- Order ---


@given(finite)
@example(0x8001)
def test_nextup_and_nextdown_are_inverse(a):
    up, _ = run("nextup", a)
    down, _ = run("nextdown", a)
    assert run("less", a, up)[0]
    assert run("less", down, a)[0]
    same = a if a & 0x7FFF else 0
    for back in (run("nextdown", up)[0], run("nextup", down)[0]):
        assert (back if back & 0x7FFF else 0) == same
    assert run("nextdown", a ^ 0x8000)[0] == up ^ 0x8000


@given(patterns, patterns, patterns)
def test_total_order_is_a_total_order(a, b, c):
    def precedes(x, y):
        return run("total_order", x, y)[0]

    assert precedes(a, a)
    assert precedes(a, b) or precedes(b, a)
    assert not (precedes(a, b) and precedes(b, a)) or a == b
    assert not (precedes(a, b) and precedes(b, c)) or precedes(a, c)


@given(patterns, patterns)
def test_exactly_one_relation_holds(a, b):
    relations = [run(name, a, b)[0] for name in ("less_quiet", "equal", "greater_quiet", "unordered")]
    assert sum(relations) == 1
    assert run("less", a, b) == run("greater", b, a)
    assert run("not_equal", a, b)[0] != run("equal", a, b)[0]
    assert run("less_equal", a, b)[0] == (relations[0] or relations[1])
    assert run("not_greater", a, b)[0] != run("greater", a, b)[0]


@given(numbers, numbers)
def test_minimum_and_maximum_share_the_operands(a, b):
    for low, high in [("minimum", "maximum"), ("minimum_number", "maximum_number"), ("min_num", "max_num")]:
        smallest, largest = run(low, a, b)[0], run(high, a, b)[0]
        assert sorted((smallest, largest)) == sorted((a, b))
        assert run("less_equal", smallest, largest)[0]
        assert run(low, b, a)[0] == smallest
