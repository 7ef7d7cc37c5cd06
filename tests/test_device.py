"""The core as device code of a GPU.

What shows what: the compiler's test, that every function of the core is legal device code and computes with integers
alone; no GPU or driver is needed, only NVIDIA's libNVVM. The simulator's test, that kernels which call the core thread
by thread give the bits of the loops; in the simulator a kernel is plain Python, and so is the core here. Only the test
marked `gpu` shows both at once, on a GPU.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import halfsim as hs
from halfsim.core.fields import F16
from halfsim.kernels import elementwise
from tests import core_rows, device_kernels

ROOT = Path(__file__).resolve().parent.parent
FLOATING = re.compile(r"^\s*(?:@!?%p\d+\s+)?(?!ld|st|mov)[a-z][\w.]*\.(?:b?f16(?:x2)?|tf32|f32|f64)\b.*", re.MULTILINE)


def run(*arguments, **variables):
    """Run the kernels' module in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.device_kernels", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def loops():
    """What the compiled loops give for the operands of the kernels: (bits, flags) by control word and element."""
    columns, words = device_kernels.inputs()
    a, b, c = columns
    integers = a * b - (c << 40)
    rows = {
        **{
            name: (getattr(elementwise, name), (a, b))
            for name in ("add", "subtract", "multiply", "divide", "remainder")
        },
        **{name: (getattr(elementwise, name), (a,)) for name in ("sqrt", "round_to_integral", "logb")},
        **{name: (getattr(elementwise, name), (a,)) for name in ("nextup", "nextdown", "classify")},
        "fma": (elementwise.fma, (a, b, c)),
        "scaleb": (elementwise.scaleb, (a, (b & 63) - 32)),
        "less": (elementwise.compare_relation, (a, b), 1, 1),
        "minimum_number": (elementwise.extremum, (a, b), 1),
        "total_order": (elementwise.total_order, (a, b), False),
        "to_binary32": (elementwise.convert, (a,), F16, core_rows.B32),
        "to_e4m3": (elementwise.convert, (a,), F16, core_rows.B8),
        "to_int8": (elementwise.to_integer, (a,), F16, 8, 1),
        "from_int64": (elementwise.from_integer, (integers,), 1, F16),
    }
    found = {}
    for name, (loop, operands, *extra) in rows.items():
        found[name] = np.zeros((words.size, a.size, 2), np.int64)
        for w, word in enumerate(words):
            bits, flags = np.zeros(a.size, np.int64), np.zeros(a.size, np.uint8)
            loop(*operands, bits, flags, int(word), core_rows.SEED, 0, *extra)
            found[name][w] = np.stack([bits, flags], axis=1)
    for name, row in block_rows().items():
        found[name] = blocks(row)
    return found


def block_rows():
    """The rows of the blocks, whose rounding the words then choose."""
    bits, wide = device_kernels.FRACTION_BITS, device_kernels.SUM_BITS
    return {
        "fused_dot_add": hs.FusedDotAdd(
            terms=device_kernels.TERMS, fraction_bits=bits, zero_exponent=device_kernels.ZERO_EXPONENT
        ),
        "exact_dot_add": hs.ExactDotAdd(terms=device_kernels.TERMS),
        "pairwise_dot_add": hs.PairwiseDotAdd(terms=2, depth=2, environment=device_kernels.FLUSH),
        "two_stage_dot_add": hs.TwoStageDotAdd(
            terms=device_kernels.TERMS,
            term_bits=bits,
            product_bits=wide,
            addend_bits=bits,
            total_bits=wide - 1,
            join=device_kernels.BLOCK_ROUNDINGS[-1],
        ),
    }


def blocks(row):
    """The blocks of a matrix unit, through the front door; elements without a full block stay zero."""
    columns, _ = device_kernels.inputs(hs.CUDA)
    a, b = (
        np.lib.stride_tricks.sliding_window_view(hs.from_bits(column), device_kernels.TERMS) for column in columns[:2]
    )
    c = hs.convert(hs.from_bits(columns[2][: len(a)]), hs.BINARY32)
    found = np.zeros((len(device_kernels.BLOCK_ROUNDINGS), columns[0].size, 2), np.int64)
    for w, rounding in enumerate(device_kernels.BLOCK_ROUNDINGS):
        chosen = replace(row, rounding=rounding)
        terms = min(row.terms, device_kernels.TERMS)
        found[w, : len(a), 0] = hs.dot(a[:, :terms], b[:, :terms], c, accumulator=chosen).view(np.uint32)
    finite = (found[:, : len(a), 0] & 0x7F800000) != 0x7F800000
    assert 0.4 < finite.mean() < 1, "blocks of numbers, and some with infinities and NaNs"
    return found


def assert_loops(loops, file):
    kernels = dict(np.load(file))
    assert kernels.keys() == loops.keys()
    for name, want in loops.items():
        for w, i, _ in np.argwhere(want != kernels[name])[:1]:
            pytest.fail(f"{name}: word {w}, element {i}: the loop gives {want[w, i]}, the kernel {kernels[name][w, i]}")


def test_kernels_in_the_simulator_give_the_bits_of_the_loops(loops, tmp_path):
    file = tmp_path / "results.npz"
    run("results", file, NUMBA_ENABLE_CUDASIM="1", NUMBA_DISABLE_JIT="1")
    assert_loops(loops, file)


@pytest.mark.gpu
def test_kernels_on_a_gpu_give_the_bits_of_the_loops(loops, tmp_path):
    file = tmp_path / "results.npz"
    run("results", file)
    assert_loops(loops, file)


@pytest.fixture(scope="module")
def toolkit():
    """The folder of a CUDA toolkit, or of its part with libNVVM and libdevice."""
    package = importlib.util.find_spec("nvidia")
    places = [Path(place) / "cuda_nvcc" for place in (package.submodule_search_locations if package else ())]
    places = [Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")), *places]
    for place in places:
        if [*place.glob("nvvm/lib64/libnvvm.so*")] and [*place.glob("nvvm/libdevice/libdevice*.bc")]:
            return place
    pytest.skip(f"no libNVVM in {', '.join(map(str, places))}: pip install nvidia-cuda-nvcc-cu12 brings it")


def test_the_core_compiles_to_device_code_without_floating_point(toolkit, tmp_path):
    run("code", tmp_path / "ptx.json", CUDA_HOME=str(toolkit), NUMBA_DISABLE_JIT="0", NUMBA_ENABLE_CUDASIM="0")
    ptx = json.loads((tmp_path / "ptx.json").read_text())
    assert FLOATING.search(ptx.pop("floating")), "the search finds nothing"
    assert len(ptx) == len(device_kernels.ELEMENTWISE) + len(device_kernels.BLOCKS)
    for name, text in ptx.items():
        assert ".visible .entry" in text, name
        assert "st.global" in text, name
        assert ".extern" not in text, f"{name} calls something"
        found = FLOATING.search(text)
        assert found is None, f"{name}: {found[0] if found else ''}"
