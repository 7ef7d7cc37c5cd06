"""`halfsim explain`: what it prints, its operands and options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import halfsim as hs
from tests.cli.running import EXAMPLE, ROOT, invoke, process


def test_explain_in_a_process() -> None:
    shown = process(*EXAMPLE)
    assert (shown.returncode, shown.stderr) == (0, "")
    x = hs.from_bits(0x3C01)
    want = hs.to_bits(hs.fma(x, x, hs.from_bits(0x8001), rounding="rtz"))
    for fact in (f"{want:#06x}", "0x1.00800fp+0", "kept", "guard 0", "decision", "flags     inexact"):
        assert fact in shown.stdout


def test_explain_compiles_nothing() -> None:
    program = f"""
import sys, time
from halfsim.cli import main
start = time.process_time()
try:
    main({list(EXAMPLE)!r})
except SystemExit as end:
    assert end.code == 0
assert time.process_time() - start < 2
compiled = [
    name
    for module, values in list(sys.modules.items()) if module.startswith("halfsim")
    for name, value in vars(values).items() if getattr(value, "overloads", None)
]
print(compiled, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_explain_as_json() -> None:
    record = json.loads(invoke(*EXAMPLE, "--json").stdout)
    assert record["result"]["pattern"] == "0x3c02"
    assert record["flags"] == ["inexact"]
    assert record["decision"]["discarded"] == "15/16384"
    dot = invoke(
        "explain", "dot", "--accumulator", "a100:f32", "--a", "4096,4096,0.25", "--b", "2048,-2048,1", "--json"
    )
    record = json.loads(dot.stdout)
    assert record["blocks"][0]["terms"][3]["lost"] == "1/4"
    assert record["accumulator"]["fraction_bits"] == 24


@pytest.mark.parametrize(
    ("arguments", "pattern", "flags"),
    [
        (("add", "-0", "-0"), "0x8000", []),
        (("add", "-0x1p-3", "-1.5"), "0xbe80", []),
        (("add", "-1e-3", "inf"), "0x7c00", []),
        (("subtract", "-inf", "-infinity"), "0x7e00", ["invalid"]),
        (("add", "nan", "1"), "0x7e00", []),
        (("add", "snan", "1"), "0x7e01", ["invalid"]),
        (("add", "-nan(0x3ff)", "1"), "0xffff", []),
        (("add", "nan", "1", "--environment", "cuda"), "0x7fff", []),
        (("add", "nan", "1", "--environment", "RISCV"), "0x7e00", []),
        (("multiply", "0x0400", "0x3bff", "--rounding", "rup"), "0x0400", ["inexact", "underflow"]),
        (("multiply", "0x3c01", "0x03ff", "--tininess", "before"), "0x0400", ["inexact", "underflow"]),
        (("multiply", "0x3c01", "0x03ff"), "0x0400", ["inexact"]),
        (("add", "0x0001", "0x0001", "--flush-inputs"), "0x0000", []),
        (("add", "0x0001", "0x0001", "--flush-results"), "0x0000", ["inexact", "underflow"]),
        (("round_to_integral", "2.5", "--exact"), "0x4000", ["inexact"]),
        (("scaleb", "1.5", "-3"), "0x3200", []),
        (("convert", "0.3", "--from", "binary32", "--to", "E4M3"), "0x2a", ["inexact"]),
        (("convert", "1000", "--to", "E4M3"), "0x7f", ["inexact", "overflow"]),
        (("convert", "1000", "--to", "e4m3", "--saturate"), "0x7e", ["inexact", "overflow"]),
        (("convert", "-2.5", "--to", "int8"), "-0x2", []),
        (("less", "1", "nan"), "0x0", ["invalid"]),
    ],
)
def test_operands_and_options(arguments: tuple[str, ...], pattern: str, flags: list[str]) -> None:
    shown = invoke("explain", *arguments, "--json")
    assert shown.exit_code == 0, shown.stderr
    record = json.loads(shown.stdout)
    assert (record["result"]["pattern"], record["flags"]) == (pattern, flags)


def test_stochastic_rounding_from_the_command_line() -> None:
    record = json.loads(invoke("explain", "add", "1", "0x1p-12", "-r", "stochastic:8:42", "--json").stdout)
    want = hs.add(np.float16(1), np.float16(2**-12), rounding=hs.Stochastic(bits=8, seed=42))
    assert record["result"]["bits"] == hs.to_bits(want)
    assert record["rounding"] == {"bits": 8, "seed": 42, "offset": 0}


@pytest.mark.parametrize(
    "accumulator", ["h100:f32", "h100:f16:wgmma", "FP16", "FP32", "Exact", "Pairwise", "Compensated"]
)
def test_dot_accumulators(accumulator: str) -> None:
    shown = invoke(
        "explain", "dot", "--accumulator", accumulator, "--a", "1,2", "--b", "3,0x4400", "--c", "-0.5", "--json"
    )
    assert json.loads(shown.stdout)["result"]["value"] == "21/2"


COMPARE = ("explain", "dot", "--models", "v100,a100,h100,fp32,fp16,exact", "--case", "cancel")


def test_models_compare_on_a_case() -> None:
    shown = invoke(*COMPARE)
    assert shown.exit_code == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("cancel: Two large products cancel")
    rows = {line.split()[0]: line.split()[2:5] for line in lines[-6:]}
    assert rows == {
        "v100:f32": ["0x00000000", "0", "0.875"],
        "a100:f32": ["0xbf000000", "-0.5", "0.375"],
        "h100:f32": ["0xbf400000", "-0.75", "0.125"],
        "fp32": ["0xbf400000", "-0.75", "0.125"],
        "fp16": ["0x7c00", "inf", "-"],
        "exact": ["0xbf600000", "-0.875", "0"],
    }
    record = json.loads(invoke(*COMPARE, "--json").stdout)
    assert (record["exact"], record["rows"][1]["ulps"]) == ("-7/8", str(3 << 21))
    assert invoke(*COMPARE, "--format", "json").stdout == invoke(*COMPARE, "--json").stdout
    markdown = invoke(*COMPARE, "--format", "markdown").stdout
    assert "| h100:f32 | binary32 | 0xbf400000 | -0.75 | 0.125 |" in markdown


def test_a_gpu_alone_has_the_output_of_the_case() -> None:
    for case, output in (("cancel", "f32"), ("tie", "f16")):
        record = json.loads(invoke("explain", "dot", "--models", "A100,exact", "--case", case, "--json").stdout)
        assert record["rows"][0]["name"] == f"a100:{output}"
    shown = invoke("explain", "dot", "--accumulator", "h100", "--a", "1", "--b", "2", "--c", "0x1p-40", "--json")
    assert json.loads(shown.stdout)["result"]["format"] == "binary32"
    mixed = invoke("explain", "dot", "--models", "h100:f16,fp32", "--a", "1", "--b", "2", "--c", "0x1p-40", "--json")
    assert json.loads(mixed.stdout)["c"]["format"] == "binary32"


def test_cases_are_listed() -> None:
    shown = invoke("explain", "--list-cases")
    assert shown.exit_code == 0
    names = [line.split()[0] for line in shown.stdout.splitlines()]
    assert {"cancel", "round-per-block", "floor-45"} <= set(names)
    assert all(line.endswith(".") for line in shown.stdout.splitlines())
    assert invoke("explain", "dot", "--list-cases").stdout == shown.stdout


def test_all_shows_every_row() -> None:
    ones = ",".join(["1"] * 64)
    arguments = ("explain", "dot", "--accumulator", "fp16", "--a", ones, "--b", ones)
    assert "48 more" in invoke(*arguments).stdout
    every = invoke(*arguments, "--all").stdout
    assert "more" not in every and len(every.splitlines()) > 64


def test_output_is_a_file_whole_or_none(tmp_path: Path) -> None:
    file = tmp_path / "cancel.md"
    shown = invoke(*COMPARE, "--format", "markdown", "--output", str(file))
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert file.read_text() == invoke(*COMPARE, "--format", "markdown").stdout
    failed = invoke(*COMPARE, "-o", str(file / "file.txt"))  # the short form, as other commands have it
    assert failed.exit_code == 1
    assert failed.stderr.count("\n") == 1 and str(file) in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cancel.md"]


def test_other_operations_have_markdown_too() -> None:
    shown = invoke("explain", "add", "1", "0x1p-11", "--format", "markdown").stdout
    assert "| a | 0x3c00 | 0 01111 0000000000 | positiveNormal | 0x1p+0 = 1 |" in shown


@pytest.mark.parametrize(
    ("accumulator", "text", "pattern", "value"),
    [
        ("h100:f32:e4m3", "0.3", "0x2a", "0.3125"),
        ("h100:f32:e4m3", "0x7e", "0x7e", "448"),
        ("h100:f32:e4m3", "nan", "0x7f", "nan(0x7)"),
        ("h100:f32:e5m2", "-inf", "0xfc", "-inf"),
        ("h100:f32:bf16", "0x1p-133", "0x0001", "9.1835496157991211...e-41"),
        ("h100:f32:tf32", "0x1.004p0", "0x1fc01", "1.0009765625"),
        ("mi300x:f32:bf16", "0.1", "0x3dcd", "0.10009765625"),
    ],
)
def test_factors_of_other_formats(accumulator: str, text: str, pattern: str, value: str) -> None:
    shown = invoke("explain", "dot", "--accumulator", accumulator, "--a", text, "--b", "1", "--json")
    record = json.loads(shown.stdout)
    assert (record["a"][0]["pattern"], record["a"][0]["decimal"]) == (pattern, value)
    assert record["result"]["kind"] == "quietNaN" or record["exact"] is None or record["error"] == "0"


def test_amd_and_nvidia_side_by_side() -> None:
    shown = invoke("explain", "dot", "--models", "MI100,mi210,mi300x,h100", "--case", "truncation", "--json")
    rows = json.loads(shown.stdout)["rows"]
    assert [row["name"] for row in rows] == ["mi100:f32", "mi210:f32", "mi300x:f32", "h100:f32"]
    # 1 - 3 * 2^-25 is a tie, to even; CDNA3 cuts the small product to 2^-24 first.
    assert [row["result"]["pattern"][-8:] for row in rows] == ["3f7ffffe", "3f7ffffe", "3f7fffff", "3f7ffffe"]
    assert [row["blocks"] > 0 for row in rows] == [True, False, True, True]
