"""Stochastic rounding in 32-bit lanes: the bits of the core, element by element."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import halfsim as hs
from halfsim.core.control import control_word
from halfsim.kernels import conversion, drawn, host
from halfsim.kernels.words import PIECE
from tests.kernels.test_fast import ENVIRONMENTS, random_controls
from tests.oracles.corners import float_neighbours
from tests.processes import python

BITS = (1, 7, 13, 15, 16, 17, 31, 32)
TARGETS = [hs.BINARY16, hs.BFLOAT16]
SEED, INDEX = -(1 << 62) + 3, 2**32 - 1000  # a counter that runs over 2**32
TESTS = ["tests/kernels/test_drawn.py", "tests/kernels/test_words.py"]


def operands() -> np.ndarray:
    """Every exponent with corners and random significands, what is about every binary16 number, NaNs."""
    rng = np.random.default_rng(1)
    ends = np.r_[
        0, 1, 2, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x10000, 0x1000, 0xFFF, 0x7FFFFE, 0x7FFFFF, 1 << np.arange(23)
    ]
    low = np.unique(np.r_[ends, rng.integers(0, 1 << 23, 300)])
    every = (np.arange(256)[:, None] << 23 | low).ravel()
    about = float_neighbours(np.float32, count=20_000).view(np.uint32)
    return np.concatenate([every, every | 1 << 31, about, rng.integers(0, 1 << 32, 200_000)]).astype(np.uint32)


def core(patterns: np.ndarray, target: hs.Format, control: int, seed: int, index: int) -> np.ndarray:
    return conversion.general(host, patterns, hs.BINARY32, False, target, (control, seed, index))[0]


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("bits", BITS)
def test_every_exponent(target: hs.Format, bits: int) -> None:
    x, control = operands(), control_word(hs.Stochastic(bits=bits, seed=0), hs.IEEE)
    loop = drawn.drawing_loop(hs.BINARY32, target, control)
    want = core(x, target, control, SEED, INDEX)
    z = np.empty_like(want)
    assert loop(x, z, control, SEED, INDEX)
    number = (x & 0x7FFFFFFF) <= 0x7F800000
    assert np.array_equal(z[number], want[number])
    assert not loop(x[number], z[: np.count_nonzero(number)], control, SEED, INDEX)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_tail(target: hs.Format) -> None:
    x = operands()
    x = np.random.default_rng(2).permutation(x[(x & 0x7FFFFFFF) <= 0x7F800000])[: 2 * PIECE + 17]
    control = control_word(hs.Stochastic(bits=13, seed=0), hs.IEEE)
    loop, want = drawn.drawing_loop(hs.BINARY32, target, control), core(x, target, control, 5, 2**32 - 9)
    assert loop is not None
    for size in range(x.size + 1):
        z = np.full(size + 2, 77, want.dtype)
        assert not loop(x[:size], z[1:-1], control, 5, 2**32 - 9)
        assert np.array_equal(z[1:-1], want[:size])
        assert z[0] == z[-1] == 77


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("index", [0, 2**32 - 3 * PIECE - 100, -200, 2**63 - 1000])
@pytest.mark.parametrize("bits", [*range(1, 33)])
def test_every_number_of_bits(target: hs.Format, bits: int, index: int) -> None:
    x, control = operands(), control_word(hs.Stochastic(bits=bits, seed=0), hs.IEEE)
    x = np.random.default_rng(bits).permutation(x[(x & 0x7FFFFFFF) <= 0x7F800000])[: 5 * PIECE - 3]
    z = np.empty(x.size, np.uint16 if target == hs.BINARY16 else np.uint32)
    assert not drawn.drawing_loop(hs.BINARY32, target, control)(x, z, control, SEED, index)
    assert np.array_equal(z, core(x, target, control, SEED, index))


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("size", [1, 15, 40, 520])
def test_every_nan_is_found(target: hs.Format, size: int) -> None:
    control = control_word(hs.Stochastic(bits=32, seed=0), hs.IEEE)
    loop, x = drawn.drawing_loop(hs.BINARY32, target, control), np.full(size, 0x7F800000, np.uint32)
    z = np.empty(size, np.uint16 if target == hs.BINARY16 else np.uint32)
    for place in range(size):
        x[place] = 0xFF800001
        assert loop(x, z, control, 5, 9), place
        x[place] = 0xFF800000
    assert not loop(x, z, control, 5, 9)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86 processors")
def test_a_processor_without_vector_extensions() -> None:
    # Other tiers have a suite of their own among the slow tests.
    names = "test_every_tail or test_first_words or test_all_four_words"
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "-k", names, *TESTS, HALFSIM_CPU="generic")


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_front_door_in_every_environment(target: hs.Format, environment: str) -> None:
    # With and without flags the same values, though other loops make them; NaNs and flushing included.
    x = operands().view(np.float32)
    how, row = hs.Stochastic(bits=11, seed=4, offset=7), getattr(hs, environment)
    values = hs.convert(x, target, rounding=how, environment=row)
    again, _ = hs.convert.flagged(x, target, rounding=how, environment=row)
    assert values.tobytes() == again.tobytes()
    want = core(x.view(np.uint32), target, control_word(how, row), 4, 7)
    assert values.tobytes() == want.tobytes()


def test_what_flushes_has_no_loop_of_its_own() -> None:
    found = {drawn.drawing_loop(hs.BINARY32, hs.BINARY16, control) is None: control for control in random_controls(7)}
    assert set(found) == {False, True}
    nearest = control_word(hs.Rounding.roundTiesToEven, hs.IEEE)
    assert drawn.drawing_loop(hs.BINARY32, hs.BINARY16, nearest) is None
