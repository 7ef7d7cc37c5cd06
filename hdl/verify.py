"""``python -m hdl.verify``: every design against its vectors, then every mutant, which the vectors must kill."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from hdl.designs import DESIGNS, Design, Mutant, build, mutants
from hdl.simulators import missing, run
from hdl.vectors import Vectors

__all__ = ["SIMULATORS", "Kill", "check", "kill", "main"]

SIMULATORS = ("iverilog", "verilator", "ghdl")
_Files = dict[str, list[Vectors]]


@dataclass(frozen=True)
class Kill:
    """A mutant, and the file and row that told it from the design; an empty file means that none did."""

    mutant: Mutant
    file: str
    row: int


def check(design: Design, files: Iterable[Vectors], folder: Path, simulator: str) -> int:
    """Run a design over its files; return the number of rows, or raise where one disagrees."""
    program, rows = build(design, simulator, folder / simulator / design.name), 0
    for vectors in files:
        outcome = run(program, vectors, limit=10)
        if not outcome.passed:
            raise click.ClickException(f"{design.name} disagrees with {vectors.path.name}:\n{outcome.text}")
        rows += vectors.rows
    return rows


def kill(mutant: Mutant, files: Iterable[Vectors], folder: Path) -> Kill:
    """Run a mutant over the files of its design until one tells it from the design."""
    design = DESIGNS[mutant.design]
    program = build(design, design.simulators[0], folder, mutant)
    for vectors in files:
        outcome = run(program, vectors)
        if not outcome.passed:
            return Kill(mutant, vectors.path.stem, outcome.first)
    return Kill(mutant, "", 0)


def _files(folder: Path, rows: int) -> _Files:
    """Write the vectors of every design; designs of one operation share them."""
    shared: _Files = {}
    for design in DESIGNS.values():
        if design.vectors not in shared:
            shared[design.vectors] = list(design.files(folder, rows))
    return {name: shared[design.vectors] for name, design in DESIGNS.items()}


def _controls(files: _Files, folder: Path, simulator: str) -> int:
    total = 0
    for name, design in DESIGNS.items():
        if simulator not in design.simulators:
            continue
        start = time.perf_counter()
        rows = check(design, files[name], folder, simulator)
        seconds = time.perf_counter() - start
        click.echo(f"{simulator:<10} {name:<13} {rows:>9,} rows agree  {seconds:6.1f} s")
        total += rows
    return total


def _kills(files: _Files, folder: Path, jobs: int) -> list[Kill]:
    """Run every mutant whose simulator is installed, and print the table as they end."""
    listed = [mutant for mutant in mutants() if not missing(DESIGNS[mutant.design].simulators[0])]
    width = max(len(mutant.name) for mutant in listed)
    click.echo(f"\n{'design':<13} {'mutant':<{width}}  {'killed by':<30} {'first row':>11}")
    places = [folder / f"mutant{number}" for number in range(len(listed))]
    kills = []
    with ThreadPoolExecutor(jobs) as pool:
        for item in pool.map(lambda mutant, place: kill(mutant, files[mutant.design], place), listed, places):
            found = f"{item.file:<30} {item.row:>11,}" if item.file else "SURVIVED"
            click.echo(f"{item.mutant.design:<13} {item.mutant.name:<{width}}  {found}")
            kills.append(item)
    return kills


@click.command()
@click.option(
    "--rows",
    type=click.IntRange(100, 1 << 18),
    default=20_000,
    show_default=True,
    help="Rows of each vector file; below 2,500 some mutants survive.",
)
@click.option("--simulator", "simulators", multiple=True, type=click.Choice(SIMULATORS),
              help="Simulators of the designs, by default all that are installed.")  # fmt: skip
@click.option("--jobs", default=2, show_default=True, help="Simulations at a time.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the result here.")
def main(rows: int, simulators: tuple[str, ...], jobs: int, report: Path | None) -> None:
    """Check every design and kill every mutant; exit 1 if a row disagrees or a mutant survives.

    Mutants run in Icarus, those of VHDL designs in GHDL where it is installed.
    """
    if absent := missing("iverilog", *simulators):
        raise click.ClickException(f"{', '.join(absent)} not found; on Debian: apt-get install {' '.join(absent)}")
    if not simulators:
        simulators = tuple(each for each in SIMULATORS if not missing(each))
    for each in missing(*SIMULATORS):
        click.echo(f"skipped: {each} is not installed")
    with tempfile.TemporaryDirectory(prefix="hdl-") as name:
        folder = Path(name)
        files = _files(folder, rows)
        total = sum(_controls(files, folder, each) for each in simulators)
        kills = _kills(files, folder, jobs)
    killed = sum(1 for item in kills if item.file)
    click.echo(f"\nmutation score {killed} of {len(kills)} = {killed / len(kills):.0%}; {total:,} rows agree")
    if report is not None:
        found = [{**vars(item.mutant), "file": item.file, "row": item.row} for item in kills]
        report.write_text(json.dumps({"rows": total, "killed": killed, "mutants": found}, indent=1) + "\n")
    if killed < len(kills):
        sys.exit(1)


if __name__ == "__main__":
    main()
