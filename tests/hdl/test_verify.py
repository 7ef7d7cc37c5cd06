"""The hardware designs agree with halfsim, and the vectors kill every mutant of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hdl import designs, verify
from hdl.designs import DESIGNS, Mutant, build, mutants
from hdl.simulators import missing, run
from hdl.vectors import Vectors

ROWS = 2500

icarus = pytest.mark.skipif(bool(missing("iverilog")), reason="iverilog is not installed")
verilator = pytest.mark.skipif(bool(missing("verilator")), reason="verilator is not installed")

Files = Callable[[str], list[Vectors]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The vector files of a design, written once."""
    made: dict[str, list[Vectors]] = {}

    def of(name: str) -> list[Vectors]:
        if name not in made:
            made[name] = list(DESIGNS[name].files(tmp_path_factory.mktemp(name), ROWS))
        return made[name]

    return of


# `make hdl` plants every fault, too.
@pytest.mark.parametrize("most", [pytest.param(3, id="some"), pytest.param(None, id="every", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", DESIGNS)
def test_a_design_agrees_and_its_mutants_are_killed(name: str, most: int | None, files: Files, tmp_path: Path) -> None:
    simulator = DESIGNS[name].simulators[0]
    if missing(simulator):
        pytest.skip(f"{simulator} is not installed")
    rows = verify.check(DESIGNS[name], files(name), tmp_path, simulator)
    assert rows == ROWS * len(files(name))
    faults = [mutant for mutant in mutants() if mutant.design == name]
    assert len(faults) >= 3
    kills = [verify.kill(mutant, files(name), tmp_path / str(i)) for i, mutant in enumerate(faults[:most])]
    assert [kill.mutant.name for kill in kills if not kill.file] == []
    assert all(1 <= kill.row <= ROWS for kill in kills)


@pytest.mark.slow
@verilator
def test_verilator_sees_a_mutant(files: Files, tmp_path: Path) -> None:
    (mutant,) = (each for each in mutants() if (each.design, each.name) == ("multiply", "tininess swapped"))
    command = build(DESIGNS["multiply"], "verilator", tmp_path, mutant)
    outcomes = [run(command, vectors) for vectors in files("multiply")]
    assert not all(outcome.passed for outcome in outcomes)


@pytest.mark.parametrize("name", ["add", "v100", "multiply-vhdl"])
def test_a_short_file_is_an_error(name: str, files: Files, tmp_path: Path) -> None:
    whole = files(name)[0]
    short = tmp_path / "short.tv"
    # Without its last row, and the digest below.
    short.write_text("".join(whole.path.read_text().splitlines(keepends=True)[:-2]))
    simulator = DESIGNS[name].simulators[0]
    if missing(simulator):
        pytest.skip(f"{simulator} is not installed")
    command = build(DESIGNS[name], simulator, tmp_path)
    with pytest.raises(RuntimeError, match=rf"file ends after {ROWS - 1} of {ROWS} rows"):
        run(command, whole._replace(path=short))


@icarus
def test_an_undefined_output_is_a_mismatch(files: Files, tmp_path: Path) -> None:
    floating = Mutant("no flags", "add", "binary16_add.v", "assign flags = special", "wire [4:0] unused = special")
    outcome = run(build(DESIGNS["add"], "iverilog", tmp_path, floating), files("add")[0])
    assert outcome.first == 1


def test_a_mutant_that_does_not_apply_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mutants.toml").write_text(
        'mutants = [{ name = "x", design = "add", file = "binary16_add.v", old = "nowhere", new = "" }]'
    )
    monkeypatch.setattr(designs, "ROOT", tmp_path)
    with pytest.raises(ValueError, match=r"'nowhere' is not exactly once in binary16_add\.v"):
        mutants()[0].source()


def test_mutants_are_all_different() -> None:
    listed = mutants()
    assert len({(mutant.design, mutant.name) for mutant in listed}) == len(listed)
    assert len({(mutant.design, mutant.source()) for mutant in listed}) == len(listed)
    assert len(listed) >= 70


@icarus
def test_a_survivor_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = Mutant("comment", "add", "binary16_add.v", "// binary16 sum.", "// binary16 sums.")
    monkeypatch.setattr(verify, "mutants", lambda: (harmless,))
    monkeypatch.setattr(verify, "DESIGNS", {"add": DESIGNS["add"]})
    done = CliRunner().invoke(verify.main, ["--rows", "600", "--simulator", "iverilog"])
    assert done.exit_code == 1
    assert "SURVIVED" in done.output and "mutation score 0 of 1" in done.output


@icarus
def test_a_design_that_disagrees_fails_with_the_rows(files: Files, tmp_path: Path) -> None:
    nearest = files("add")[0]
    with pytest.raises(click.ClickException, match=r"add disagrees with add_rne_afterRounding\.tv:\nrow \d+: operands"):
        verify.check(DESIGNS["add"], [nearest._replace(rounding=1)], tmp_path, "iverilog")


def test_without_a_simulator_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done = CliRunner().invoke(verify.main, ["--simulator", "verilator"])
    assert done.exit_code == 1
    assert "iverilog, verilator not found; on Debian: apt-get install iverilog verilator" in done.output
