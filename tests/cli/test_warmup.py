"""`halfsim warmup`: the cache, and that every loop is in it."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import ROOT, RUN, invoke, process


def test_warmup_fills_the_cache(tmp_path: Path) -> None:
    cache = {"HALFSIM_CACHE_DIR": str(tmp_path)}
    first = process("warmup", "absolute", "negative", **cache)
    assert first.returncode == 0, first.stderr
    assert re.search(r"^2 operation\(s\) ready in [\d.]+ s$", first.stdout, re.MULTILINE)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert files
    size = sum(path.stat().st_size for path in files)
    assert re.search(
        rf"^cache: {re.escape(str(tmp_path))}.*, {len(files)} file\(s\), {size / 1e6:.1f} MB$", first.stdout, re.M
    )
    start = time.process_time()
    again = process("warmup", "absolute", "negative", **cache)
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == files
    assert time.process_time() - start < 5


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_it_says_at_once_where_nothing_can_be_kept(tmp_path: Path) -> None:
    # A limit of the size of files stands for a disk with no space left, which no test can have.
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384)); "
    done = subprocess.run(
        [*RUN[:2], limited + RUN[2], "warmup", "absolute"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HALFSIM_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        rf"halfsim: {re.escape(str(tmp_path))}\S+: nothing would be kept: File too large; make space there, "
        r"or set HALFSIM_CACHE_DIR to a folder that can be written to\n",
        done.stderr,
    )
    (tmp_path / "file").touch()
    done = process("warmup", "absolute", HALFSIM_CACHE_DIR=str(tmp_path / "file"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "nothing would be kept: Not a directory; make space there, or set HALFSIM_CACHE_DIR" in done.stderr


def test_it_says_at_the_end_where_space_ran_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tempfile.TemporaryFile
    asked: list[Any] = []

    def fill(**keywords: Any) -> Any:
        asked.append(keywords)
        if len(asked) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return files(**keywords)

    monkeypatch.setattr("tempfile.TemporaryFile", fill)
    monkeypatch.setenv("HALFSIM_CACHE_DIR", str(tmp_path))
    shown = invoke("warmup", "absolute")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "what was compiled may not all be kept: No space left on device; make space" in shown.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_warmup_reaches_every_loop(tmp_path: Path) -> None:
    program = """
import sys
from halfsim.cli import main
from halfsim.core._cache import KernelCache
main(["warmup"], standalone_mode=False)
for module, values in list(sys.modules.items()):
    if module.startswith("halfsim.kernels."):
        for name, value in vars(values).items():
            if isinstance(getattr(value, "_cache", None), KernelCache) and value.py_func.__module__ == module:
                print("LOOP", module, name, len(value.overloads))
print("NATIVE", sys.modules["halfsim.kernels.native16"].available())
"""
    done = _python(program, tmp_path)
    loops = re.findall(r"^LOOP (\S+) (\S+) (\d+)$", done, re.MULTILINE)
    assert len(loops) > 40
    # A processor has vectors of binary16 or needs the loops that stand for them.
    other = ("sequential16", "_nearest") if "NATIVE True" in done else ("native16", "")
    spared = {(f"halfsim.kernels.{other[0]}", f"_{name}{other[1]}") for name in ("fused", "unfused")}
    # Vectorised loops stand for these wherever there is a compiler.
    spared |= {("halfsim.kernels.elementwise", name) for name in ("compare_relation", "extremum")}
    assert {loop[:2] for loop in loops if loop[2] == "0"} == spared
    # No later call compiles anything, whatever it is given.
    before = set(tmp_path.rglob("*.nbc"))
    assert int(_python(CALLS, tmp_path)) > 3000
    assert not set(tmp_path.rglob("*.nbc")) - before


CALLS = """
import itertools
from importlib.util import find_spec
import ml_dtypes
import numpy as np
import halfsim as hs
from halfsim.tensorcores import TABLE, TensorCore

integers = [np.dtype(f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
floats = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn]
formats = [hs.BINARY16, hs.BINARY32, hs.BINARY64, hs.BFLOAT16, hs.TF32, hs.E5M2, hs.E4M3]
roundings = ("rne", "rtz", "rna", hs.Stochastic(bits=8, seed=1))
flushing = hs.Environment(flush_inputs=True, flush_results=True)
calls = 0
for size in (2, 200_000):
    for kind, to, rounding in itertools.product((*floats, *integers), (*formats, *integers), roundings):
        if isinstance(to, np.dtype) and np.dtype(kind).kind in "iu":
            continue
        for convert in (hs.convert, hs.convert.flagged):
            convert(np.ones(size, kind), to, rounding=rounding)
            calls += 1
    for operation in filter(lambda value: isinstance(value, hs.Operation), [getattr(hs, name) for name in hs.__all__]):
        for kind in integers[:-1] if operation.integers >= 0 else integers[:1]:
            operands = [np.ones(size, (np.float16, kind)[i == operation.integers]) for i in range(operation.arity)]
            for call, rounding in itertools.product((operation, operation.flagged), roundings):
                for environment in (hs.IEEE, flushing):
                    call(*operands, rounding=rounding, environment=environment)
                    calls += 1
sums = [f"{name}{output}" for name in ("exact", "pairwise", "compensated") for output in ("", ":f16")]
units = [row.accumulator for row in TABLE]
for row, (m, k, n) in itertools.product([*units, *sums, "fp16", "fp32"], ((4, 8, 4), (70, 130, 40))):
    formats = getattr(row, "inputs", (hs.BINARY16,) * 2)
    kinds = [np.float16] if formats == (hs.BINARY16,) * 2 else [np.float32]
    for kind, order in itertools.product(kinds, "CF"):
        a, b = np.ones((m, k), kind, order), np.ones((k, n), kind, order)
        for c in (None, np.ones((m, n), np.float16), np.ones((m, n), np.float32)):
            hs.matmul(a, b, c, accumulator=row)
            calls += 1
        hs.sum(a, axis=0, accumulator=row), hs.sum(a, axis=1, accumulator=row), hs.dot(a, a, accumulator=row)
        if row in sums:
            hs.matmul.flagged(a, b, accumulator=row)
if find_spec("torch"):
    import torch
    import halfsim.torch

    for kind, bias, policy in itertools.product((torch.float16, torch.float32), (True, False), ("h100:f16", "mixed")):
        layer = torch.nn.Linear(64, 64, bias=bias).to(kind)
        with hs.torch.simulate(policy):
            layer(torch.full((64, 64), 1e-3, dtype=kind)).sum().backward()
            with torch.no_grad():
                layer(torch.full((64, 64), 1e-6, dtype=kind))
        calls += 2
print(calls)
"""


def _python(program: str, cache: Path) -> str:
    """Run a program with a cache, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HALFSIM_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
