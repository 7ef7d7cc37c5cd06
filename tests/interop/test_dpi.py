"""The object file called from C gives the same bits as halfsim, and from SystemVerilog it checks a design."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import halfsim as hs
from halfsim.cli import main
from halfsim.interop.dpi import OPERATIONS, UNITS, write_dpi

ROOT = Path(__file__).resolve().parent.parent.parent
HDL = ROOT / "hdl"

compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) is installed")
verilator = pytest.mark.skipif(shutil.which("verilator") is None, reason="verilator is not installed")

ENVIRONMENTS = ("IEEE", "RISCV", "ARM", "X86", "CUDA")
ROUNDINGS = ("rne", "rtz", "rdn", "rup", "rna", "odd")
CASES = [(env, rounding) for i, env in enumerate(ENVIRONMENTS) for rounding in (ROUNDINGS[i], ROUNDINGS[i + 1])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dpi")
    write_dpi(folder)
    return folder


def operation_calls() -> str:
    calls = []
    for name in OPERATIONS:
        operands = ", ".join(f"{x}[i]" for x in "abc"[: getattr(hs, name).arity])
        calls.append(f"z = halfsim_f16_{name}({operands}, control, &flags);\nput(z, flags);")
    return "\n".join(calls)


def words(rng: np.random.Generator, count: int) -> np.ndarray:
    plain = rng.integers(0, 1 << 16, count)
    corner = rng.choice(np.array([0, 1, 0x3FF, 0x400, 0x3C00, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x7FFF]), count)
    return np.where(rng.random(count) < 0.7, plain, corner | (plain & 0x8000)).astype(np.uint16)


def compile_and_run(source: str, folder: Path, given: np.ndarray, tmp_path: Path) -> bytes:
    """Run a C program that is linked with nothing but the object file."""
    (tmp_path / "main.c").write_text(source)
    program = tmp_path / "main"
    subprocess.run(
        ["cc", "-O1", "-Wall", "-Werror", f"-I{folder}", "-o", program, tmp_path / "main.c", folder / "halfsim_dpi.o"],
        check=True,
    )
    return subprocess.run([program], input=given.tobytes(), capture_output=True, check=True, env={}).stdout


@compiler
def test_c_calls_give_the_bits_and_flags_of_every_operation(folder: Path, tmp_path: Path) -> None:
    count = 20_000
    rng = np.random.default_rng(7)
    given = np.stack([words(rng, count) for _ in "abc"])
    environments = ", ".join(f"HALFSIM_{env} | HALFSIM_{rounding.upper()}" for env, rounding in CASES)
    program = f"""
#include <stdio.h>
#include "halfsim_dpi.h"
static uint16_t a[{count}], b[{count}], c[{count}];
static void put(uint16_t z, uint8_t flags) {{ uint16_t row[2] = {{z, flags}}; fwrite(row, 2, 2, stdout); }}
int main(void) {{
  const uint32_t controls[] = {{{environments}}};
  if (fread(a, 2, {count}, stdin) + fread(b, 2, {count}, stdin) + fread(c, 2, {count}, stdin) != 3 * {count}) return 1;
  for (int k = 0; k < {len(CASES)}; k++) for (int i = 0; i < {count}; i++) {{
    uint32_t control = controls[k];
    uint8_t flags = 0xff;
    uint16_t z;
    {operation_calls()}
  }}
  return 0;
}}
"""
    found = np.frombuffer(compile_and_run(program, folder, given, tmp_path), np.uint16)
    found = found.reshape(len(CASES), count, len(OPERATIONS), 2)
    x = [hs.from_bits(row) for row in given]
    for k, (env, rounding) in enumerate(CASES):
        for j, name in enumerate(OPERATIONS):
            operation = getattr(hs, name)
            value, flags = operation.flagged(*x[: operation.arity], rounding=rounding, environment=getattr(hs, env))
            bits = value.astype(np.uint16) if value.dtype == np.bool_ else hs.to_bits(value)
            np.testing.assert_array_equal(found[k, :, j, 0], bits, err_msg=f"{name} {env} {rounding}")
            np.testing.assert_array_equal(found[k, :, j, 1], flags, err_msg=f"flags of {name} {env} {rounding}")


@compiler
@pytest.mark.parametrize("unit", UNITS)
def test_c_calls_give_the_bits_of_a_dot_unit(unit: str, folder: Path, tmp_path: Path) -> None:
    count = 20_000
    row = hs.tensorcores.as_accumulator(unit)
    rng = np.random.default_rng(8)
    a, b = (words(rng, count * row.terms).reshape(count, row.terms) for _ in "ab")
    tame = rng.random(count) < 0.9
    a[tame], b[tame] = a[tame] & 0xBFFF, b[tame] & 0xBFFF
    c = (rng.integers(0, 1 << 32, count)).astype(np.uint32)
    c[::2] = c[::2] & 0x83FFFFFF | 0x3C000000
    given = np.concatenate([a.view(np.uint32), b.view(np.uint32), c[:, None]], axis=1)
    half = row.terms // 2
    program = f"""
#include <stdio.h>
#include "halfsim_dpi.h"
int main(void) {{
  uint32_t row[{2 * half + 1}];
  while (fread(row, 4, {2 * half + 1}, stdin) == {2 * half + 1}) {{
    uint32_t d = halfsim_dot_{unit.replace(":", "_")}(row, row + {half}, row[{2 * half}]);
    fwrite(&d, 4, 1, stdout);
  }}
  return 0;
}}
"""
    found = np.frombuffer(compile_and_run(program, folder, given, tmp_path), np.uint32)
    want = hs.dot(hs.from_bits(a), hs.from_bits(b), c.view(np.float32), accumulator=unit)
    np.testing.assert_array_equal(found, want.view(np.uint32))
    assert len(np.unique(found)) > count // 3, "hardly any results: the test would see nothing"


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm (binutils) is not installed")
def test_the_object_file_needs_only_memory(folder: Path) -> None:
    shown = subprocess.run(["nm", folder / "halfsim_dpi.o"], capture_output=True, text=True, check=True).stdout
    undefined = {line.split()[-1] for line in shown.splitlines() if " U " in line}
    public = {line.split()[-1] for line in shown.splitlines() if line.split()[-2] == "T"}
    assert undefined <= {"malloc", "free"}
    named = {f"halfsim_f16_{name}" for name in OPERATIONS}
    assert public == named | {f"halfsim_dot_{unit.replace(':', '_')}" for unit in UNITS}


@pytest.mark.slow
@verilator
def test_a_systemverilog_bench_that_calls_the_simulator_sees_a_mutant(folder: Path, tmp_path: Path) -> None:
    from hdl.designs import DESIGNS, mutants

    (mutant,) = (m for m in mutants() if (m.design, m.name) == ("fma", "rounds the product first"))
    command = ["verilator", "--binary", "-Wno-fatal", "--top-module", "dpi_bench", "--Mdir", tmp_path / "obj"]
    command += [folder / "halfsim_dpi_pkg.sv", HDL / "bench" / "dpi_bench.sv"]
    command += [*DESIGNS["fma"].paths(tmp_path, mutant), folder / "halfsim_dpi.o"]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run([tmp_path / "obj" / "Vdpi_bench", "+rows=300000"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "rounding 0" in done.stdout


def test_what_has_no_c_form_is_refused(tmp_path: Path) -> None:
    for names, units, message in (
        (["plus"], [], "unknown operation 'plus'"),
        (["scaleb"], [], "scaleb has integers"),
        (["classify"], [], "classify has integers"),
        ([], ["h100"], "is not 'GPU:output'"),
    ):
        with pytest.raises(ValueError, match=message):
            write_dpi(tmp_path / "none", names, units)
    assert not (tmp_path / "none").exists()


def test_the_command_writes_what_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["dpi", str(tmp_path / "new"), "--operation", "fma"])
    assert done.exit_code == 0, done.output
    assert [Path(line).name for line in done.output.split()] == [
        "halfsim_dpi.o",
        "halfsim_dpi.h",
        "halfsim_dpi_pkg.sv",
    ]
    header = (tmp_path / "new" / "halfsim_dpi.h").read_text()
    assert "halfsim_f16_fma(" in header and "halfsim_f16_add(" not in header and "halfsim_dot" not in header
    assert f"#define HALFSIM_RUP {hs.Rounding.roundTowardPositive:#x}u" in header
    assert CliRunner().invoke(main, ["dpi", str(tmp_path), "--operation", "plus"]).exit_code == 2
