"""The simulators: how each compiles a bench and runs it over a file of vectors."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hdl.vectors import Vectors

__all__ = ["Outcome", "Program", "ghdl", "iverilog", "missing", "run", "verilator"]


@dataclass(frozen=True)
class Program:
    """A compiled bench: the command that runs it, and how it is given an argument."""

    command: tuple[str, ...]
    argument: str = "+{name}={value}"


@dataclass(frozen=True)
class Outcome:
    """What a bench said: whether all rows agree, else the first that does not (from 1), and all it printed."""

    passed: bool
    first: int
    text: str


def missing(*programs: str) -> list[str]:
    """Return those of the programs that are not installed."""
    return [program for program in programs if shutil.which(program) is None]


def _call(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} cannot compile {command[-1]}: {done.stdout}{done.stderr}")


def iverilog(
    top: str, sources: Sequence[Path], defines: Sequence[str], parameters: Sequence[tuple[str, int]], folder: Path
) -> Program:
    """Compile with Icarus Verilog."""
    target = folder / "bench.vvp"
    options = [*(f"-D{name}" for name in defines), *(f"-P{top}.{name}={value}" for name, value in parameters)]
    _call("iverilog", "-g2012", "-Wall", *options, "-s", top, "-o", target, *sources)
    return Program(("vvp", "-n", str(target)))


def verilator(
    top: str, sources: Sequence[Path], defines: Sequence[str], parameters: Sequence[tuple[str, int]], folder: Path
) -> Program:
    """Compile with Verilator."""
    options = [*(f"-D{name}" for name in defines), *(f"-G{name}={value}" for name, value in parameters)]
    options += ["-Wno-fatal", "-Wno-WIDTH", "-Wno-STMTDLY", "--Mdir", str(folder / "obj"), "-o", "bench"]
    _call("verilator", "--binary", "-O3", "--top-module", top, *options, *sources)
    return Program((str(folder / "obj" / "bench"),))


def ghdl(
    top: str, sources: Sequence[Path], defines: Sequence[str], parameters: Sequence[tuple[str, int]], folder: Path
) -> Program:
    """Analyse with GHDL; `defines` and `parameters` are Verilog's and must be empty."""
    if defines or parameters:
        raise ValueError(f"ghdl: {top} has Verilog defines or parameters")
    _call("ghdl", "-a", "--std=08", f"--workdir={folder}", *sources)
    return Program(("ghdl", "--elab-run", "--std=08", f"--workdir={folder}", top), "-g{name}={value}")


def run(program: Program, vectors: Vectors, limit: int = 1) -> Outcome:
    """Run a bench over a file of vectors."""
    given = {**vectors._asdict(), "vectors": vectors.path, "limit": limit}
    del given["path"]
    arguments = [program.argument.format(name=name, value=value) for name, value in given.items()]
    done = subprocess.run([*program.command, *arguments], capture_output=True, text=True)
    text = done.stdout + done.stderr
    failed = re.search(r"^FAIL first=(\d+)", text, re.MULTILINE)
    passed = re.search(rf"^PASS rows={vectors.rows}$", text, re.MULTILINE) is not None
    if bool(failed) == passed or (done.returncode == 0) != passed:
        raise RuntimeError(f"the bench of {vectors.path.name} gave no verdict: {text}")
    return Outcome(passed, int(failed[1]) if failed else 0, text)
