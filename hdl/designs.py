"""The designs, their benches, and their mutants."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import halfsim as hs
from hdl import simulators
from hdl.simulators import Program
from hdl.vectors import DOTS, ELEMENTWISE, Vectors, dot_files, elementwise_files

__all__ = ["DESIGNS", "Design", "Mutant", "build", "mutants"]

ROOT = Path(__file__).resolve().parent
_RTL = ROOT / "rtl"


@dataclass(frozen=True)
class Design:
    """A design in its bench: sources, what the compiler is told, and the vectors that check it."""

    name: str
    vectors: str
    bench: str
    sources: tuple[str, ...]
    simulators: tuple[str, ...] = ("iverilog", "verilator")
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
        make = dot_files if self.vectors in DOTS else elementwise_files
        return make(self.vectors, folder, rows)


def _elementwise(operation: str, operands: int) -> Design:
    defines = (f"DESIGN=binary16_{operation}", *(["THREE_OPERANDS"] if operands == 3 else []))
    sources = (f"binary16_{operation}.v", "binary16_round.v")
    return Design(operation, operation, "elementwise_bench.sv", sources, defines=defines)


def _dot(gpu: str) -> Design:
    row = hs.tensorcores.row(gpu, "f32")
    parameters = ("TERMS", row.terms), ("FRACTION_BITS", row.fraction_bits), ("ZERO_EXPONENT", row.zero_exponent)
    return Design(gpu, gpu, "dot_bench.sv", ("tensor_dot.v",), parameters=parameters)


_VHDL = Design("multiply-vhdl", "multiply", "multiply_bench.vhd", ("binary16_multiply.vhd",), ("ghdl",))
_ALL = (*(_elementwise(name, arity) for name, arity in ELEMENTWISE.items()), _VHDL, *map(_dot, DOTS))

DESIGNS = {design.name: design for design in _ALL}


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


def build(design: Design, simulator: str, folder: Path, mutant: Mutant | None = None) -> Program:
    """Compile a design, or a mutant of it, and its bench."""
    compiler = getattr(simulators, simulator)
    # The design first: VHDL is analysed in order.
    sources = [*reversed(design.paths(folder, mutant)), ROOT / "bench" / design.bench]
    program: Program = compiler(Path(design.bench).stem, sources, design.defines, design.parameters, folder)
    return program
