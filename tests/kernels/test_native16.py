"""Sums of binary16 that the processor's own binary16 vectors compute: the bits of the general loop, or not chosen."""

from __future__ import annotations

import platform
import re

import numba
import numpy as np
import pytest

import halfsim as hs
from halfsim.accumulators import Sequential
from halfsim.core import _processor
from halfsim.core.control import control_word
from halfsim.environment import Environment
from halfsim.kernels import native16, product, recurrences, sequential16
from halfsim.kernels.product import Operands
from halfsim.rounding import Rounding
from tests.kernels.test_gemm import addends, operands
from tests.kernels.test_processor import WORD, set_state
from tests.oracles.corners import NANS, patterns
from tests.processes import python

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="vectors exist only as machine code")
NATIVE = pytest.mark.skipif(not native16.available(), reason="this processor has no vectors of binary16")
X86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="compiles for an x86 processor")

DIRECTIONS = ("rne", "rtz", "rdn", "rup")
KINDS = ("normal", "finite", "subnormal", "corner", "special", "cancelling")
EVERY = np.arange(1 << 16, dtype=np.uint16)


def plan(mode, fused):
    return product.plan(Sequential(format=hs.BINARY16, rounding=mode, fused=fused))


def portable(mode, fused):
    """The plan with the loop of other processors."""
    nearest = "_nearest" if mode == "rne" else ""
    return plan(mode, fused)._replace(fast=getattr(sequential16, ("fused" if fused else "unfused") + nearest))


def compute(chosen, a, b, c):
    """Patterns of products of one or more matrices."""
    a, b = (x if x.ndim == 3 else x[None] for x in (a, b))
    each = np.arange(max(a.shape[0], b.shape[0]))
    pair = Operands(a, b, each % a.shape[0], each % b.shape[0])
    return product.evaluate(chosen, pair, c.copy(), flagged=False)[0].reshape(-1).view(np.uint16)


def agree(mode, fused, a, b, c):
    """Compare with the general loop."""
    chosen = plan(mode, fused)
    assert chosen.fast is (native16.fused if fused else native16.unfused)
    np.testing.assert_array_equal(compute(chosen, a, b, c), compute(chosen._replace(fast=None), a, b, c))


def anything(rng, *shape):
    """Patterns of every class, each class often."""
    corners = np.concatenate([patterns(level=1), NANS]).astype(np.uint16)
    choice = rng.integers(0, 3, shape)
    near = rng.standard_normal(shape).astype(np.float16).view(np.uint16)
    return np.choose(choice, [rng.choice(EVERY, shape), rng.choice(corners, shape), near])


# ---------------------------------------------------------------------------------------------------------------- bits


@NATIVE
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("mode", DIRECTIONS)
class TestBits:
    def test_single_steps(self, mode, fused):
        """Operands and addends of every class, NaNs and infinities included."""
        rng = np.random.default_rng([7, fused, *mode.encode()])
        a, b, c = anything(rng, 8, 150, 1), anything(rng, 8, 1, 250), anything(rng, 8 * 150, 250)
        agree(mode, fused, a, b, c.view(np.float16))

    def test_every_operand(self, mode, fused):
        """All patterns, times some and plus some."""
        some = np.array([0x3C00, 0x3555, 0x0001, 0x83FF, 0x7BFF, 0xFC00, 0x7C01, 0x8000], np.uint16)
        c = np.random.default_rng(8).choice(some, (some.size, EVERY.size)).view(np.float16)
        agree(mode, fused, some[:, None], EVERY[None], c)

    @pytest.mark.parametrize("kind", KINDS)
    def test_sums(self, mode, fused, kind):
        a, b = operands(kind, 40, 130, 70, 3)
        agree(mode, fused, a, b, addends(hs.BINARY16, 40, 70, 4))

    @pytest.mark.parametrize("kind", KINDS)
    def test_long_sums(self, mode, fused, kind):
        """More parts of the terms, beside the loop of other processors."""
        a, b = operands(kind, 61, 1100, 301, 5)
        c = addends(hs.BINARY16, 61, 301, 6)
        assert (compute(plan(mode, fused), a, b, c) == compute(portable(mode, fused), a, b, c)).all()

    def test_rows_of_infinities_and_nans(self, mode, fused):
        rng = np.random.default_rng(9)
        a, b = operands("normal", 20, 40, 50, 10)
        a[3, 7], a[4], b[5, 9], b[:, 11] = 0x7C00, 0xFC00, 0x7E01, rng.choice(NANS, 40)
        agree(mode, fused, a, b, addends(hs.BINARY16, 20, 50, 11))

    def test_signs_of_zero_sums(self, mode, fused):
        """x - x, and zeros of every pair of signs."""
        a = np.array([[0x3C00, 0x3C00], [0x0000, 0x8000], [0x8000, 0x8000], [0x0001, 0x8001], [0x0001, 0x0001]])
        b = np.array([[0x3C00, 0x0000, 0x8000, 0x0001], [0xBC00, 0x8000, 0x0000, 0x0001]])
        for c in (0x0000, 0x8000, 0x0001, 0x8001):
            agree(mode, fused, a.astype(np.uint16), b.astype(np.uint16), np.full((5, 4), c, np.uint16).view(np.float16))

    @pytest.mark.parametrize("columns", [1, 31, 32, 33, 127, 128, 129, 161, 513])
    @pytest.mark.parametrize("rows", [1, 5, 6, 7, 49])
    def test_remainders(self, mode, fused, rows, columns):
        for terms in (1, 2, 19):
            a, b = operands("normal", rows, terms, columns, rows + columns)
            agree(mode, fused, a, b, addends(hs.BINARY16, rows, columns, terms))

    def test_batches(self, mode, fused):
        rng = np.random.default_rng(12)
        a, b = anything(rng, 3, 13, 9), anything(rng, 3, 9, 140)
        agree(mode, fused, a, b, anything(rng, 39, 140).view(np.float16))
        agree(mode, fused, a, b[:1], anything(rng, 39, 140).view(np.float16))

    def test_threads_and_states_change_nothing(self, mode, fused):
        a, b = operands("finite", 300, 100, 200, 13)
        c = addends(hs.BINARY16, 300, 200, 14)
        chosen, before = plan(mode, fused), hs.get_num_threads()
        try:
            hs.set_num_threads(1)
            want = compute(chosen, a, b, c)
            for threads, (name, word) in ((t, item) for t in (1, 2) for item in WORD.items()):
                hs.set_num_threads(threads)
                set_state(np.uint32(word))
                try:
                    got = compute(chosen, a, b, c)
                finally:
                    set_state(np.uint32(WORD["nearest"]))
                assert (got == want).all(), (threads, name)
        finally:
            hs.set_num_threads(before)


@NATIVE
def test_operands_that_are_not_contiguous():
    rng = np.random.default_rng(15)
    a, b = rng.standard_normal((90, 80)).astype(np.float16), rng.standard_normal((400, 45)).astype(np.float16)
    left, right = a[::2, ::-1].T, b[::-4, 1::2].T[:, :45].T[:45]
    want, _ = hs.matmul.flagged(left, right[:, ::-1], accumulator=hs.FP16)
    assert (hs.matmul(left, right[:, ::-1], accumulator=hs.FP16).view(np.uint16) == want.view(np.uint16)).all()


# ------------------------------------------------------------------------------------------------------------- choice


def chosen(rounding, available, monkeypatch, flush=False):
    monkeypatch.setattr(native16, "available", lambda: available)
    accumulator = Sequential(format=hs.BINARY16, rounding=rounding, flush_to_zero=flush)
    environment = Environment(flush_inputs=flush, flush_results=flush)
    loop, _ = recurrences.fast(accumulator, control_word(accumulator.rounding, environment), (0, 0))
    return loop.__module__ == native16.__name__


@pytest.mark.parametrize("rounding", Rounding)
def test_only_directions_that_processors_know_are_left_to_them(rounding, monkeypatch):
    assert chosen(rounding, True, monkeypatch) == (rounding.name not in ("roundTiesToAway", "roundToOdd"))
    assert not chosen(rounding, True, monkeypatch, flush=True)
    assert not chosen(rounding, False, monkeypatch)


@X86
@pytest.mark.parametrize("lacking", ["avx512fp16", "avx512bw", "avx512vl"])
def test_a_processor_that_lacks_a_feature_is_never_asked(lacking, monkeypatch):
    features = {*_processor._TIERS["avx512fp16"][1]} - {lacking}
    monkeypatch.setattr(native16, "has_feature", lambda name: name in features)
    assert not native16.available()


def test_only_one_named_tier_has_them():
    assert [name for name, (_, features) in _processor._TIERS.items() if "avx512fp16" in features] == ["avx512fp16"]


ASK = "from halfsim.kernels import native16; print(native16.available())"


@X86
@pytest.mark.parametrize("tier", ["generic", "haswell", "avx512", "avx512fp16"])
def test_tiers(tier):
    _, features = _processor._TIERS[tier]
    if not all(_processor.llvm.get_host_cpu_features().get(feature) for feature in features):
        pytest.skip("this processor has not what the tier needs")
    assert python("-c", ASK, HALFSIM_CPU=tier) == f"{tier == 'avx512fp16'}\n"


# --------------------------------------------------------------------------------------------------------------- code

COMPILE = """
import sys
import numpy as np
from numba import typeof
from halfsim.kernels import native16

factor, index, sums = np.zeros((1, 8, 8), np.uint16), np.zeros(1, np.int64), np.zeros((8, 8), np.uint16)
arguments = factor, factor, index, index, sums, 0, 8, 0, native16._grid(factor, factor, 8)
kernel = getattr(native16, sys.argv[1])
kernel.compile(tuple(map(typeof, arguments)))
print(*kernel.inspect_asm().values())
"""


@X86
@pytest.mark.parametrize(
    ("kernel", "instructions"), [("_fused", ("vfmadd",)), ("_unfused", ("vmulph", "vaddph"))], ids=["fused", "unfused"]
)
def test_a_tile_is_computed_in_registers(kernel, instructions, tmp_path):
    """Code for a processor that has the vectors, which any x86 processor can make and none need run."""
    name, features = _processor._TIERS["avx512fp16"]
    settings = {
        "HALFSIM_CPU": "",
        "NUMBA_CPU_NAME": name,
        "NUMBA_CPU_FEATURES": ",".join(f"+{feature}" for feature in features),
        "HALFSIM_CACHE_DIR": str(tmp_path),
    }
    code = python("-c", COMPILE, kernel, **settings)
    # Nothing is called but Python, Numba and the walk: no function stands for an instruction.
    called = set(re.findall(r"(?:movabsq\s+\$|callq\s+)([A-Za-z_]\w*)", code))
    assert called
    assert not [
        name
        for name in called
        if not re.match(r"_?Py|NRT_|numba_|_ZN\w*(native16|panels|sweep|Py|NRT)|mem(set|cpy|move)$", name)
    ]
    loops = [loop for loop in re.split(r"\n\.LBB\w+:", code) if len(re.findall(r"ph\s.*%zmm", loop)) >= 24]
    tiles = [re.split(r"\n\tj\w+\s", loop)[0] for loop in loops]
    assert tiles
    for tile in tiles:
        for instruction in instructions:
            found = re.findall(rf"{instruction}\w*\s.*%zmm", tile)
            assert len(found) == 24, (instruction, len(found))
        assert not re.search(r"%rsp\S*\).*%zmm|%zmm.*%rsp", tile)
        # Four vectors of B, and a number of A for each of six rows.
        assert len(re.findall(r"vmovup[sd]\s+[^%\s]*\(.*%zmm", tile)) <= 4
        assert len(re.findall(r"vp?broadcast\w+\s+[^%\s]*\(.*%zmm", tile)) == 6
