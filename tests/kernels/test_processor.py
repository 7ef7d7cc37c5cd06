"""Kernels on other processors than this one, and under other states of the floating-point unit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from llvmlite import binding as llvm

import halfsim as hs
from halfsim.core import _guard, _processor
from halfsim.kernels.gemm32 import matmul32

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86 processors")


def run(*arguments, **variables):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


# ----------------------------------------------------------------------------------------------------------- processors


def supported(tier):
    have = llvm.get_host_cpu_features()
    return all(have.get(feature) for feature in _processor._TIERS[tier][1])


def passes(tier, *arguments):
    """Run tests in a process that compiles for a tier."""
    if not supported(tier):
        pytest.skip("this processor has not what the tier needs")
    done = run("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments, HALFSIM_CPU=tier)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout


# Parts of the tests that take some minutes each; what is new in tests/ joins the last of them.
PARTS = {
    "kernels": ["kernels"],
    "front door": ["test_linalg.py", "test_linalg_formats.py", "test_operations.py"],
    "core": ["core", "tensorcores"],
    "explanation": ["explanation", "explore"],
    "vectors": ["testvectors", "capture"],
    "PyTorch": ["interop"],
    "training": ["training"],
    "studies": ["studies"],
}
# Texts, pictures, types, times, hardware designs and the project itself: they ask no loop that is not asked above.
APART = {"benchmarks", "cli", "docs", "hdl", "oracles", "plotting", "typing"}
APART |= {f"test_{name}.py" for name in ("consoles", "documentation", "gallery", "notebook", "project", "references")}
APART |= {"test_release.py", "test_startup.py"}
PARTS["others"] = sorted(
    path.name
    for path in (ROOT / "tests").iterdir()
    if (path / "__init__.py").exists() or path.match("test_*.py")
    if path.name not in APART.union(*PARTS.values())
)
# Here with what takes minutes, but for what asks no loop of this processor, or the same ones once more.
WITH_SLOW = ("kernels", "front door")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("tier", ["generic", "haswell", "avx512", "avx512fp16"])
def test_everything_is_right_on_older_processors(tier, part):
    files = [f"tests/{name}" for name in PARTS[part]]
    chosen = (
        ["-m", "not nightly and not gpu", "-k", "not ten_million and not every_launch"] if part in WITH_SLOW else []
    )
    passes(tier, *files, *chosen, "--deselect", "tests/kernels/test_processor.py")


def test_the_parts_are_there_and_hold_most_of_the_tests():
    named = APART.union(*PARTS.values())
    assert all((ROOT / "tests" / name).exists() for name in named)
    assert sum(map(len, PARTS.values())) == len(set().union(*PARTS.values()))
    assert {"test_properties.py", "test_stochastic.py", "test_same_bits.py", "test_totals.py"} <= set(PARTS["others"])
    covered = [
        path for names in PARTS.values() for name in names for path in (ROOT / "tests").glob(f"{name}/**/test_*.py")
    ]
    assert len(covered) + len(PARTS["others"]) > 150


LONGER = {
    "avx512": ["test_fused.py", "test_gemm.py", "test_units.py", "test_wide.py", "test_fast.py"],
    "avx512fp16": ["test_native16.py::TestBits", "test_native16.py::test_operands_that_are_not_contiguous"],
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("tier", LONGER)
def test_loops_of_longer_registers_are_right_in_the_instructions_of_shorter_ones(tier, tmp_path):
    if not supported("haswell"):
        pytest.skip("this processor does not convert binary16")
    files = [f"tests/kernels/{name}" for name in LONGER[tier]]
    plain = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "tests.kernels.longer"]
    # They start processes of their own, which would find these kernels in the cache.
    plain += ["-k", "not without_vector_extensions and not denormal_switches"]
    variables = {"HALFSIM_CPU": "haswell", "HALFSIM_LONGER": tier, "HALFSIM_CACHE_DIR": str(tmp_path)}
    done = run("-m", "pytest", *plain, *files, **variables)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


# The general loop with the least to compile.
NEGATIVE = """
import numpy as np, halfsim as hs
print(hs.negative.flagged(np.float16([-4]))[0][0])
"""


@pytest.mark.parametrize(
    ("tier", "expected"), [("pentium", "HALFSIM_CPU='pentium' is no processor known here"), ("generic", "4.0")]
)
def test_the_variable_chooses_a_tier(tier, expected):
    done = run("-c", NEGATIVE, HALFSIM_CPU=tier)
    assert expected in done.stdout + done.stderr


def test_code_for_one_processor_is_never_loaded_on_another(tmp_path):
    """Every processor adds its files to the cache; a second run adds none."""
    counts = []
    for tier in ("native", "generic", "native", "generic"):
        done = run("-c", NEGATIVE, HALFSIM_CPU=tier, HALFSIM_CACHE_DIR=str(tmp_path))
        assert done.stdout == "4.0\n", done.stderr
        counts.append(sum(path.suffix == ".nbc" for path in tmp_path.rglob("*")))
    first, both = counts[0], counts[1]
    assert first > 0 and counts == [first, 2 * first, both, both]


def test_what_the_processor_lacks_is_refused(monkeypatch):
    monkeypatch.setenv("HALFSIM_CPU", "avx512")
    have = {feature: feature != "avx512bw" for feature in _processor._AVX512}
    monkeypatch.setattr(_processor.llvm, "get_host_cpu_features", lambda: have)
    with pytest.raises(ValueError, match="HALFSIM_CPU='avx512' needs avx512bw, which this processor lacks; unset it"):
        _processor.choose_processor()


def test_a_choice_after_the_first_compilation_is_refused():
    script = "import numba; numba.njit(lambda: 1)(); import halfsim.linalg"
    done = run("-c", script, HALFSIM_CPU="generic")
    assert "RuntimeError: HALFSIM_CPU='generic' came too late" in done.stderr


# --------------------------------------------------------------------------------------------------------------- states

WORD = {"nearest": 0x1F80, "down": 0x3F80, "up": 0x5F80, "toward zero": 0x7F80, "flushing": 0x9FC0, "both": 0xFFC0}


@numba.njit
def set_state(word):
    _guard._leave(word)


@numba.njit
def get_state():
    word = _guard._enter()
    _guard._leave(word)
    return word


def calls():
    """Computations by name, on operands that round, overflow, underflow and are subnormal."""
    rng = np.random.default_rng(14)
    a, b, c = (rng.integers(0, 65536, 5000).astype(np.uint16).view(np.float16) for _ in range(3))
    x32 = rng.integers(0, 2**32, 5000).astype(np.uint32).view(np.float32)
    x64 = rng.integers(0, 2**63, 5000).astype(np.int64).view(np.float64)
    A, B = ((rng.standard_normal(shape) * 8).astype(np.float16) for shape in ((70, 90), (90, 120)))
    C = (rng.standard_normal((70, 120)) * 2.0 ** rng.integers(-149, 5, (70, 120))).astype(np.float32)
    subnormal = (rng.standard_normal((2, 40, 40)) * 2.0**-70).astype(np.float32)
    elementwise = ((hs.add, a, b), (hs.multiply, a, b), (hs.divide, a, b), (hs.sqrt, a), (hs.fma, a, b, c))
    for rounding in ("rne", "rup", "odd", hs.Stochastic(bits=13, seed=3)):
        for operation, *operands in elementwise:
            yield operation.flagged, operands, {"rounding": rounding}
            yield operation, operands, {"rounding": rounding}
    for rounding in ("rne", "rtz"):
        for x in (x32, x64):
            yield hs.convert, (x, hs.BINARY16), {"rounding": rounding}
    rows = [*("fp32", "fp16", "exact", "mi100:f32", "mi250x:f32", "mi300x:f32")]
    rows += [f"{gpu}:{output}" for gpu in ("v100", "h100") for output in ("f32", "f16")]
    rows += [hs.Sequential(format=hs.BINARY16, rounding="rup"), hs.Sequential(rounding="rdn")]
    for row in rows:
        yield hs.matmul, (A, B, C), {"accumulator": row}
    yield hs.matmul, (*(hs.convert(x, hs.BFLOAT16) for x in (A, B)), C), {"accumulator": "h100:f32:bf16"}

    def plain(x, y):
        z = np.zeros((40, 40), np.float32)
        matmul32(x, y, z)
        return z

    yield plain, tuple(subnormal), {}


def results(values):
    return [x.tobytes() for x in (values if isinstance(values, tuple) else (values,))]


@pytest.mark.parametrize("threads", [1, 2])
def test_no_state_of_the_floating_point_unit_changes_a_result(threads):
    before = hs.get_num_threads()
    hs.set_num_threads(threads)
    try:
        for call, arguments, settings in calls():
            want = results(call(*arguments, **settings))
            for state, word in WORD.items():
                set_state(np.uint32(word))
                try:
                    got = call(*arguments, **settings)
                    after = get_state()
                finally:
                    set_state(np.uint32(WORD["nearest"]))
                assert results(got) == want, (call, settings, state)
                assert after & ~0x3F == word, (call, settings, state)
    finally:
        hs.set_num_threads(before)


def test_a_state_matters_where_nothing_guards():
    """The states of the test above are real: the same sum, unguarded."""
    one, tiny = np.float32([1.0]), np.float32([1e-10])
    set_state(np.uint32(WORD["up"]))
    try:
        total = one + tiny
    finally:
        set_state(np.uint32(WORD["nearest"]))
    assert total[0] > 1
