"""The fast loops give the bits and flags of the general loops on every input they accept."""

from __future__ import annotations

import math
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest
from click.testing import CliRunner

from halfsim import environment as presets
from halfsim.core.control import control_word
from halfsim.core.fields import F16
from halfsim.environment import IEEE, Tininess
from halfsim.kernels import direct, f16c, fixed, stochastic, values
from halfsim.kernels.fast import FAST
from halfsim.rounding import Rounding, Stochastic
from tests.exhaustive_fast import (
    ENVIRONMENTS,
    ROWS,
    differences,
    general,
    main,
    result_dtype,
    run,
    with_flags,
    without_flags,
)
from tests.oracles.corners import NANS, float_neighbours, pairs, patterns, triples

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="fast loops exist only as machine code")

HARDWARE = pytest.mark.skipif(not f16c.available(), reason="the processor does not convert binary16")
UNARY = ("sqrt", "binary16_to_binary32")
BINARY = ("add", "subtract", "multiply", "divide")
NARROWING = {"binary32_to_binary16": np.float32, "binary64_to_binary16": np.float64}
CHUNK = 1 << 19
# Chunks of random operands: each kind with either tininess, and ten million of them.
COUNTS = pytest.mark.parametrize(
    "chunks", [pytest.param(5, id="millions"), pytest.param(20, id="ten million", marks=pytest.mark.slow)]
)


def controls(*roundings: Rounding, flush: bool = False) -> list[int]:
    """Control words of both tininesses, for some roundings or for all."""
    rows = [replace(IEEE, tininess=t, flush_inputs=flush, flush_results=flush) for t in Tininess]
    return [control_word(rounding, row) for rounding in roundings or Rounding for row in rows]


def exotic_controls() -> Iterator[int]:
    """Every NaN rule, and every combination of flushing, in every rounding."""
    for rounding in Rounding:
        for name in ENVIRONMENTS:
            yield control_word(rounding, getattr(presets, name))
        for tininess in Tininess:
            for inputs, results in ((True, False), (False, True), (True, True)):
                row = replace(IEEE, tininess=tininess, flush_inputs=inputs, flush_results=results)
                yield control_word(rounding, row)


def random_words(rng: np.random.Generator, size: int) -> np.ndarray[Any, Any]:
    """Uniformly random binary16 patterns."""
    return rng.integers(0, 1 << 16, size, dtype=np.uint16)


def words(columns: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(np.ascontiguousarray(column, dtype=np.uint16) for column in columns)


def wide_patterns(name: str, count: int = 4000) -> tuple[Any]:
    """Patterns of the wider format about every rounding boundary of binary16, and its corners."""
    word = np.uint32 if NARROWING[name] is np.float32 else np.int64
    return (float_neighbours(NARROWING[name], count=count).view(word),)


def inside(name: str, rng: np.random.Generator, size: int) -> tuple[Any]:
    """Patterns of the wider format in the range of binary16, where uniform ones seldom fall."""
    width, fraction, bias = (32, 23, 127) if name == "binary32_to_binary16" else (64, 52, 1023)
    exponent = rng.integers(bias - 28, bias + 18, size)
    low = rng.integers(0, 1 << fraction, size) & -(1 << rng.integers(0, fraction, size))
    sign = rng.integers(-1, 1, size) << (width - 1)
    return ((exponent << fraction | low | sign).astype(np.uint32 if width == 32 else np.int64),)


def inputs_of(name: str) -> tuple[Any, ...]:
    """Corners and random operands of any operation."""
    if name in UNARY:
        return (np.arange(ROWS, dtype=np.uint16),)
    if name in NARROWING:
        return wide_patterns(name)
    return words(triples(5000)) if name == "fma" else words(pairs(5000))


def exact_ties() -> tuple[Any, ...]:
    """Products halfway between two binary16 numbers, with addends far below, exact opposites, and zeros."""
    a, b = (g.ravel() for g in np.meshgrid(np.arange(1024, 2048), np.arange(1024, 2048)))
    product = a * b
    width = np.where(product >= 1 << 21, 22, 21)
    tie = (product & ((1 << (width - 11)) - 1)) == 1 << (width - 12)
    rng = np.random.default_rng(5)
    a, b = a[tie], b[tie]
    scale = rng.integers(1, 25, (2, a.size))
    sign = rng.integers(0, 2, (3, a.size)) << 15
    a, b = (a - 1024) | (scale[0] << 10) | sign[0], (b - 1024) | (scale[1] << 10) | sign[1]
    c = rng.choice(np.array([0, 1, 2, 0x3FF, 0x400, 0x401, 0x1400]), a.size) | sign[2]
    return words((a, b, c))


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("flush", [False, True])
def test_every_operand(name: str, flush: bool) -> None:
    every = np.arange(ROWS, dtype=np.uint16)
    for control in controls(flush=flush):
        assert differences(name, (every,), control) == []


@pytest.mark.parametrize("name", BINARY)
def test_corner_pairs(name: str) -> None:
    corner = np.union1d(patterns(level=1), NANS).astype(np.uint16)
    a, b = (np.ascontiguousarray(g.ravel()) for g in np.meshgrid(corner, corner))
    for control in controls():
        assert differences(name, (a, b), control) == []


@COUNTS
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("rounding", Rounding)
def test_millions_of_pairs(name: str, rounding: Rounding, chunks: int) -> None:
    rng = np.random.default_rng([*name.encode(), rounding])
    words_of = controls(rounding)
    for chunk in range(chunks):
        a, b = random_words(rng, CHUNK), random_words(rng, CHUNK)
        if chunk % 4 == 0:
            # Neighbouring exponents: cancellation, and sums that carry.
            b = (a & 0x7C00) + (b & 0x83FF) + ((b & 0x1400) >> 2)
        assert differences(name, (a, b), words_of[chunk % 2]) == []


@COUNTS
@pytest.mark.parametrize("rounding", Rounding)
def test_millions_of_triples(rounding: Rounding, chunks: int) -> None:
    rng = np.random.default_rng([3, rounding])
    words_of = controls(rounding)
    for chunk in range(chunks):
        operands = [random_words(rng, CHUNK) for _ in range(3)]
        if chunk % 2:
            with np.errstate(all="ignore"):
                product = operands[0].view(np.float16) * operands[1].view(np.float16)
            # Addends that nearly cancel the product, or lie about a rounding boundary away from it.
            operands[2] = product.view(np.uint16) ^ 0x8000
            operands[2] += rng.integers(-2, 3, CHUNK).astype(np.uint16)
            operands[2] += (rng.integers(-13, 14, CHUNK) << 10).astype(np.uint16)
        assert differences("fma", tuple(operands), words_of[chunk // 2 % 2]) == []


def test_fma_corners() -> None:
    corner = patterns(level=0).astype(np.uint16)
    cube = tuple(np.ascontiguousarray(g.ravel()) for g in np.meshgrid(corner, corner, corner))
    ties = exact_ties()
    assert ties[0].size > 1000
    for control in controls():
        assert differences("fma", cube, control) == []
        assert differences("fma", ties, control) == []


@pytest.mark.parametrize("name", NARROWING)
def test_narrowing(name: str) -> None:
    about = wide_patterns(name, count=200_000)[0]
    operands = (np.concatenate([about, *inside(name, np.random.default_rng(11), 1_000_000)]),)
    for control in [*controls(), *controls(flush=True)]:
        assert differences(name, operands, control) == []


@pytest.mark.parametrize("name", FAST)
def test_every_environment(name: str) -> None:
    operands = inputs_of(name)
    for control in exotic_controls():
        assert differences(name, operands, control) == []


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("size", [0, 1, 2, 7, 15, 16, 17, 31, 33, 63, 65, 127, 130])
def test_every_tail(name: str, size: int) -> None:
    operands = tuple(operand[-size - 5 : -5].copy() for operand in inputs_of(name))
    want, want_flags = general(name, operands, 0)
    z, flags = np.full(size + 2, 77, result_dtype(name)), np.full(size + 2, 77, np.uint8)
    for kind in with_flags(name, 0):
        z[1:-1] = flags[1:-1] = 0
        run(name, getattr(FAST[name], kind), operands, z[1:-1], flags[1:-1], 0)
        assert z.tolist() == [77, *want.tolist(), 77], kind
        assert flags.tolist() == [77, *want_flags.tolist(), 77], kind
    for kind in without_flags(name, 0):
        z[1:-1] = 0
        run(name, getattr(FAST[name], kind), operands, z[1:-1], None, 0)
        assert z.tolist() == [77, *want.tolist(), 77], kind


# --- Stochastic rounding ---

BITS = (1, 7, 13, 31, 32)
RANDOM = (*stochastic.__all__, *NARROWING)


def random_controls(bits: int) -> Iterator[int]:
    """Stochastic control words of every NaN rule and every combination of flushing and tininess."""
    mode = Stochastic(bits=bits, seed=0)
    for name in ENVIRONMENTS:
        yield control_word(mode, getattr(presets, name))
    for tininess in Tininess:
        for inputs, results in ((True, False), (False, True), (True, True)):
            yield control_word(mode, replace(IEEE, tininess=tininess, flush_inputs=inputs, flush_results=results))


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("bits", BITS)
def test_stochastic_in_every_environment(name: str, bits: int) -> None:
    operands = inputs_of(name)
    for seed, control in enumerate(random_controls(bits)):
        # Words of a counter that runs over 2**32.
        assert differences(name, operands, control, seed - (1 << 62), 2**32 - 1000) == []


@pytest.mark.parametrize("name", RANDOM)
def test_stochastic_millions(name: str) -> None:
    rng = np.random.default_rng([*name.encode()])
    controls = [control_word(Stochastic(bits=bits, seed=0), IEEE) for bits in (32, 13)]
    for chunk in range(6):
        if name in NARROWING:
            operands = inside(name, rng, CHUNK)
        else:
            operands = tuple(random_words(rng, CHUNK) for _ in range({"fma": 3, "sqrt": 1}.get(name, 2)))
        assert differences(name, operands, controls[chunk % 2], 5, chunk * CHUNK) == []


def test_roots_keep_their_leading_bits() -> None:
    """Of every root the 43 bits that words are added to are those of the exact root, and so is whether more follow."""
    for radicand in range(1 << 10, 1 << 12):
        root = math.isqrt(radicand << 74)
        fraction = int(math.sqrt(radicand) * 2**47)
        assert fraction >> 10 == root, radicand
        assert (fraction & 0x3FF == 0) == (root * root == radicand << 74)


_FLUSHED = """
import numpy as np, torch
from tests.exhaustive_fast import differences
from tests.kernels.test_fast import controls, inputs_of
from halfsim.kernels.fast import FAST

assert torch.set_flush_denormal(True)
tiny = np.full(64, 1e-40, np.float32)
assert (tiny * np.float32(2) == 0).all(), "the switch has no effect"
for name in FAST:
    operands = inputs_of(name)
    for control in controls():
        assert differences(name, operands, control) == [], name
"""

_PORTABLE = """
from halfsim.core.control import control_word
from halfsim.environment import IEEE
from halfsim.kernels import f16c
from halfsim.rounding import Stochastic
from tests.exhaustive_fast import differences
from tests.kernels.test_fast import controls, inputs_of

assert f16c.available() == EXPECTED
for name in NAMES:
    operands = inputs_of(name)
    for control in [*controls(), control_word(Stochastic(bits=32, seed=0), IEEE)]:
        assert differences(name, operands, control) == [], name
"""


def run_python(code: str, **environment: str) -> None:
    # HALFSIM_CPU would choose another processor than NUMBA_CPU_NAME.
    inherited = {name: value for name, value in os.environ.items() if name != "HALFSIM_CPU"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**inherited, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_denormal_switches_change_nothing() -> None:
    pytest.importorskip("torch")
    run_python(_FLUSHED)


@numba.njit
def set_state(state):  # type: ignore[no-untyped-def]
    return f16c.exchange(np.int32(state))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets x86's control register")
@pytest.mark.parametrize("name", FAST)
def test_the_state_of_the_processor_changes_nothing_and_stays(name: str) -> None:
    """Another library may have left rounding toward zero, flush-to-zero and denormals-are-zero behind."""
    operands = inputs_of(name)
    upward_flushing = 0x1F80 | 0x4000 | 0x8000 | 0x40
    for control in controls():
        want, want_flags = general(name, operands, control)
        got, flags = np.empty_like(want), np.empty_like(want_flags)
        flagged = with_flags(name, control)
        for kind in (*flagged, *without_flags(name, control)):
            loop = getattr(FAST[name], kind)
            run(name, loop, operands, got, flags if kind in flagged else None, control)
            got.fill(0x5555)
            before = set_state(upward_flushing)
            run(name, loop, operands, got, flags if kind in flagged else None, control)
            after = set_state(before)
            assert after & ~0x3F == upward_flushing
            assert np.array_equal(got, want), kind
            assert kind not in flagged or np.array_equal(flags, want_flags)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86 processors")
@pytest.mark.parametrize(
    "processor",
    [
        "generic",
        # Older tiers have a suite of their own among the slow tests, too.
        pytest.param("haswell", marks=pytest.mark.slow),
        pytest.param("F16C", marks=[HARDWARE, pytest.mark.slow]),
    ],
)
def test_any_processor_has_the_instructions(processor: str) -> None:
    features = {"generic": "", "haswell": "+avx2,+fma,+bmi,+bmi2,+lzcnt", "F16C": "+avx,+avx2,+fma,+f16c"}[processor]
    name = "haswell" if processor == "F16C" else processor
    # The slow tests run those of all kernels on the generic one.
    names = ("add", "binary32_to_binary16") if processor == "generic" else ("add", "fma", "binary32_to_binary16")
    code = _PORTABLE.replace("EXPECTED", str(processor == "F16C")).replace("NAMES", repr(names))
    run_python(code, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
@pytest.mark.parametrize("loops", ["flagged", "values"])
@pytest.mark.parametrize("name", ["add", "multiply", "divide", "sqrt", "fma", "binary32_to_binary16"])
def test_loops_are_vectorised(name: str, loops: str) -> None:
    kernel = getattr(FAST[name], loops)
    source = numba.types.uint32 if name in NARROWING else numba.types.uint16
    arity = {"fma": 3, "sqrt": 1, "binary32_to_binary16": 1}.get(name, 2)
    out = [numba.types.uint16[::1], *([numba.types.uint8[::1]] if loops == "flagged" else [])]
    integers = [numba.types.int64] * (3 if loops == "flagged" else 1)
    compiled = numba.njit(error_model="numpy")(kernel.py_func)
    compiled.compile(tuple([source[::1]] * arity + out + integers))
    assembly = "\n".join(compiled.inspect_asm().values())
    # Packed 32-bit truncation is the heart of the rounder; 64-bit lanes would mean that half of them are lost.
    assert re.search(r"\bv?cvttps2dq\b", assembly)
    assert re.search(r"\bv?p(max|cmpgt|and|ternlog)\w*\s.*%[xyz]mm", assembly)
    assert not re.search(r"\bv?(paddq|psllq|psraq|pcmpgtq|pmovqd)\b", assembly)


def assembly_of(kernel: Any, *arguments: Any) -> str:
    """Machine code of a kernel for some arguments."""
    compiled = numba.njit(error_model="numpy")(kernel.py_func)
    compiled.compile(arguments)
    return "\n".join(compiled.inspect_asm().values())


@HARDWARE
@pytest.mark.parametrize("name", [*BINARY, "sqrt", "round_to_integral", *NARROWING, "binary16_to_binary32"])
@pytest.mark.parametrize("size", [1, 15, 16, 40])
def test_loops_of_conversions_find_every_nan(name: str, size: int) -> None:
    """One among numbers, wherever it is: what the general loop is then asked."""
    loop = getattr(direct, name)
    word, nan = {"binary32_to_binary16": (np.uint32, 0xFFC00001), "binary64_to_binary16": (np.int64, -1)}.get(
        name, (np.uint16, 0x7C01)
    )
    z, flags = np.empty(size, np.uint32 if name == "binary16_to_binary32" else np.uint16), np.empty(size, np.uint8)
    calls = [lambda *x: loop(*x, z, 0)]
    if name in FAST:
        calls.append(lambda *x: FAST[name].converted(*x, z, flags, 0, 0, 0))
    operands = [np.ones(size, word) for _ in range(2 if name in BINARY else 1)]
    for call in calls:
        assert not call(*operands)
        for operand in operands:
            for place in range(size):
                operand[place] = nan
                assert call(*operands), place
                operand[place] = 1


@HARDWARE
@pytest.mark.parametrize("name", ["add", "multiply", "divide", "sqrt", "fma", "binary32_to_binary16"])
def test_direct_loops_use_the_widest_conversions(name: str) -> None:
    source = numba.types.uint32 if name in NARROWING else numba.types.uint16
    arity = {"fma": 3, "sqrt": 1, "binary32_to_binary16": 1}.get(name, 2)
    assembly = assembly_of(FAST[name].direct, *[source[::1]] * arity, numba.types.uint16[::1], numba.types.int64)
    # In the direction that is set: $4 says so, and AVX512-FP16's have no other.
    assert re.search(r"vcvtps2ph(\s+\$4,|x\s+)\s*%[yz]mm", assembly)


def test_rules_of_stochastic_rounding() -> None:
    for bits in range(1, 33):
        for row in (IEEE, replace(IEEE, tininess=Tininess.beforeRounding), presets.X86, presets.CUDA):
            for flushes in (False, True):
                how = replace(row, flush_inputs=flushes, flush_results=flushes)
                for saturate in (False, True):
                    control = control_word(Stochastic(bits=bits, seed=0), how, saturate=saturate)
                    assert fixed.make_random_rule(control, F16) == fixed.make_rule(control, F16)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
def test_random_words_are_made_side_by_side() -> None:
    out = [numba.types.uint16[::1], numba.types.uint8[::1], *[numba.types.int64] * 3]
    assembly = assembly_of(stochastic.add, *[numba.types.uint16[::1]] * 2, *out)
    wide = len(re.findall(r"\bv?pmuludq\s.*%[xyz]mm", assembly))
    assert wide >= 17  # of the ten rounds
    assert wide > len(re.findall(r"\bimulq\b", assembly)) / 3


def test_a_part_of_the_exhaustive_proof() -> None:
    result = CliRunner().invoke(main, ["divide", "--rounding", "rup", "--start", "31700", "--stop", "31760"])
    assert result.exit_code == 0, result.output
    assert "3,932,160 inputs" in result.output


def test_the_exhaustive_proof_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAST, "divide", FAST["divide"]._replace(values=values.multiply))
    result = CliRunner().invoke(main, ["divide", "--start", "15360", "--stop", "15361"])
    assert result.exit_code == 1
    assert "divide without flags (values) 0x3c00 0x1 => 0x0001" in result.output
