"""The designs, how a simulator builds and runs them, and their mutants."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import halfsim as hs
from hdl.vectors import DOTS, ELEMENTWISE, Vectors, dot_files, elementwise_files

__all__ = ["DESIGNS", "Design", "Mutant", "Outcome", "build", "missing", "mutants", "run"]

ROOT = Path(__file__).resolve().parent
_RTL = ROOT / "rtl"


@dataclass(frozen=True)
class Design:
    """A design in its bench: sources, what the compiler is told, and the vectors that check it."""

    name: str
    bench: str
    sources: tuple[str, ...]
    defines: tuple[str, ...] = ()
    parameters: tuple[tuple[str, int], ...] = ()

    def paths(self, folder: Path, mutant: Mutant | None = None) -> list[Path]:
        """Return the sources, the mutated one written to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [_RTL / name for name in self.sources]
        if mutant is not None:
            changed = folder / mutant.file
            changed.write_text(mutant.source())
            paths[self.sources.index(mutant.file)] = changed
        return paths

    def files(self, folder: Path, rows: int) -> Iterator[Vectors]:
        """Write the vector files of the design."""
        make: Any = dot_files if self.name in DOTS else elementwise_files
        return partial(make, self.name, folder, rows)()


def _elementwise(operation: str, operands: int) -> Design:
    defines = (f"DESIGN=binary16_{operation}", *(["THREE_OPERANDS"] if operands == 3 else []))
    sources = (f"binary16_{operation}.v", "binary16_round.v")
    return Design(operation, "elementwise_bench", sources, defines=defines)


def _dot(gpu: str) -> Design:
    row = hs.tensorcores.row(gpu, "f32")
    parameters = ("TERMS", row.terms), ("FRACTION_BITS", row.fraction_bits), ("ZERO_EXPONENT", row.zero_exponent)
    return Design(gpu, "dot_bench", ("tensor_dot.v",), parameters=parameters)


DESIGNS = {
    design.name: design
    for design in (*(_elementwise(name, arity) for name, arity in ELEMENTWISE.items()), *map(_dot, DOTS))
}


@dataclass(frozen=True)
class Mutant:
    """A design with one fault: in `file`, `old` reads `new`."""

    name: str
    design: str
    file: str
    old: str
    new: str

    def source(self) -> str:
        """Return the text of the mutated file."""
        text = (_RTL / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(
                f"mutant {self.name!r}: {self.old!r} is not exactly once in {self.file}; mend mutants.toml"
            )
        return text.replace(self.old, self.new)


def mutants() -> tuple[Mutant, ...]:
    """Read the list of mutants."""
    return tuple(Mutant(**row) for row in tomllib.loads((ROOT / "mutants.toml").read_text())["mutants"])


def build(design: Design, folder: Path, simulator: str = "iverilog", mutant: Mutant | None = None) -> list[str]:
    """Compile a design, or a mutant of it, and its bench; return the command that runs them."""
    sources = [ROOT / "bench" / f"{design.bench}.sv", *design.paths(folder, mutant)]
    defines = [f"-D{define}" for define in design.defines]
    if simulator == "iverilog":
        program = folder / "bench.vvp"
        parameters = [f"-P{design.bench}.{name}={value}" for name, value in design.parameters]
        command = ["iverilog", "-g2012", "-Wall", *defines, *parameters, "-s", design.bench, "-o", str(program)]
        runner = ["vvp", "-n", str(program)]
    else:
        parameters = [f"-G{name}={value}" for name, value in design.parameters]
        command = ["verilator", "--binary", "-O3", "-Wno-fatal", "-Wno-WIDTH", "-Wno-STMTDLY", *defines, *parameters]
        command += ["--top-module", design.bench, "--Mdir", str(folder / "obj"), "-o", "bench"]
        runner = [str(folder / "obj" / "bench")]
    done = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{simulator} cannot compile {design.name}: {done.stdout}{done.stderr}")
    return runner


@dataclass(frozen=True)
class Outcome:
    """What a bench said: whether all rows agree, else the first that does not (from 1), and all it printed."""

    passed: bool
    first: int
    text: str


def run(command: list[str], vectors: Vectors, limit: int = 1) -> Outcome:
    """Run a bench over a file of vectors."""
    arguments = {**vectors._asdict(), "vectors": vectors.path, "limit": limit}
    del arguments["path"]
    done = subprocess.run(
        [*command, *(f"+{name}={value}" for name, value in arguments.items())], capture_output=True, text=True
    )
    text = done.stdout + done.stderr
    failed = re.search(r"^FAIL first=(\d+)", text, re.MULTILINE)
    passed = re.search(rf"^PASS rows={vectors.rows}$", text, re.MULTILINE) is not None and done.returncode == 0
    if not failed and not passed:
        raise RuntimeError(f"the bench of {vectors.path.name} gave no verdict: {text}")
    return Outcome(passed, int(failed[1]) if failed else 0, text)


def missing(*programs: str) -> list[str]:
    """Return those of the programs that are not installed."""
    return [program for program in programs if shutil.which(program) is None]
