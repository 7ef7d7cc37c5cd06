"""One arithmetic everywhere: plain Python, compiled scalars and loops, threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import halfsim as hs
from tests import core_rows
from tests.checking import assert_same

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT_NAMES = ["IEEE", "ARM", "RISCV", "flushing X86"]


def _process(*arguments, **variables):
    """Run a module of the tests in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The core as plain Python, nothing compiled."""
    target = tmp_path_factory.mktemp("plain") / "rows.npy"
    _process("tests.core_rows", target, NUMBA_DISABLE_JIT="1")
    return np.load(target)


def test_compiled_scalars_give_the_same_bits(plain):
    """Called one by one from Python, under every third control word and every stochastic one."""
    words, columns = core_rows.controls(), core_rows.operands()
    chosen = sorted({*range(0, len(words), 3), *range(len(words) - len(core_rows.ENVIRONMENTS), len(words))})
    elements = range(0, len(columns[0]), 5)
    got = np.full_like(plain, -1)
    for w in chosen:
        core_rows.fill(w, words[w], columns, got, elements)
    want, got = (rows[np.ix_(chosen, range(len(core_rows.NAMES)), elements)] for rows in (plain, got))
    for w, n, i, _ in np.argwhere(want != got)[:1]:
        a, b, c = (hex(column[elements[i]]) for column in columns)
        pytest.fail(f"{core_rows.NAMES[n]}({a}, {b}, {c}), control {chosen[w]}: {want[w, n, i]} and {got[w, n, i]}")


CONVERSIONS = {
    "to_binary32": (hs.BINARY32, np.uint32),
    "to_binary64": (hs.BINARY64, np.int64),
    "to_int8": (np.int8, np.int8),
}


def _loops(name, columns, rounding, environment):
    """One operation through the front door: patterns and flags."""
    a, b, c = (hs.from_bits(column) for column in columns)
    settings = {"rounding": rounding, "environment": environment}
    if name in CONVERSIONS:
        to, word = CONVERSIONS[name]
        value, flags = hs.convert.flagged(a, to, exact=True, **settings)
        return value.view(word).astype(np.int64), flags
    if name == "from_int64":
        integers = columns[0] * columns[1] - (columns[2] << 40)
        value, flags = hs.convert.flagged(integers, hs.BINARY16, **settings)
        return hs.to_bits(value), flags
    if name == "round_to_integral":
        settings["exact"] = True
    operation = getattr(hs, name)
    value, flags = operation.flagged(*(a, b, c)[: operation.arity], **settings)
    return (hs.to_bits(value) if value.dtype == np.float16 else value), flags


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", [n for n in core_rows.NAMES if n not in ("product_in_binary32", "to_e4m3")])
def test_loops_give_the_same_bits(name, threads, plain):
    """One array of each rounding is long enough for every thread to get a block; its elements repeat."""
    columns = core_rows.operands()
    size = len(columns[0])
    repeats = 540_000 // size
    before = hs.get_num_threads()
    hs.set_num_threads(threads)
    try:
        for r, rounding in enumerate(core_rows.ROUNDINGS):
            for e, environment in enumerate(core_rows.ENVIRONMENTS):
                want = plain[r * len(core_rows.ENVIRONMENTS) + e, core_rows.NAMES.index(name)]
                long_enough = e == r % len(core_rows.ENVIRONMENTS) and not isinstance(rounding, hs.Stochastic)
                times = repeats if long_enough else 1
                long = [np.tile(column, times) for column in columns]
                expected = [np.tile(want[:, k], times) for k in (0, 1)]
                got = _loops(name, long, rounding, environment)
                assert_same(f"{name} {rounding} {ENVIRONMENT_NAMES[e]} {threads} threads", long, expected, got)
    finally:
        hs.set_num_threads(before)
