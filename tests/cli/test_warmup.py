"""`halfsim warmup`: the cache, and that every loop is in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.running import ROOT, process


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


@pytest.mark.slow
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
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HALFSIM_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loops = re.findall(r"^LOOP (\S+) (\S+) (\d+)$", done.stdout, re.MULTILINE)
    assert len(loops) > 40
    # A processor has vectors of binary16 or needs the loops that stand for them.
    other = ("sequential16", "_nearest") if "NATIVE True" in done.stdout else ("native16", "")
    spared = {(f"halfsim.kernels.{other[0]}", f"_{name}{other[1]}") for name in ("fused", "unfused")}
    # Vectorised loops stand for these wherever there is a compiler.
    spared |= {("halfsim.kernels.elementwise", name) for name in ("compare_relation", "extremum")}
    assert {loop[:2] for loop in loops if loop[2] == "0"} == spared
