"""`halfsim bench`: what it writes, what it prints, and how it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import invoke

QUICK = ("bench", "--only", "call", "--rounds", "1")
SMALL = (*QUICK, "--size", "100", "--order", "16")


def test_it_prints_a_table_and_writes_figures_and_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    shown = invoke(
        "bench", *SMALL[1:], "--only", "stochastic", "--size", "9000", "--out", str(tmp_path / "new" / "folder")
    )
    assert shown.exit_code == 0, shown.output
    assert "add of 8 elements" in shown.stdout
    assert "measuring" in shown.stderr
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == ["bench.json", "roofline.png", "roofline.svg"]
    read = json.loads((folder / "bench.json").read_text())
    assert ({row["family"] for row in read["rows"]}, read["unfinished"]) == ({"call", "stochastic"}, [])
    assert (folder / "roofline.png").read_bytes().startswith(b"\x89PNG")
    assert "stochastic" in (folder / "roofline.svg").read_text()


def test_check_fails_where_a_ratio_is_below_its_floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from halfsim import benchmarks

    monkeypatch.setattr(benchmarks, "missed", lambda results: ["call, add: 0.01 x numpy, not 0.1"])
    shown = invoke(*QUICK, "--no-progress", "--out", str(tmp_path), "--check")
    assert shown.exit_code == 1
    assert shown.stdout.endswith("Below the floor:\ncall, add: 0.01 x numpy, not 0.1\n")
    assert shown.stderr == ""
    monkeypatch.setattr(benchmarks, "missed", lambda results: [])
    shown = invoke(*QUICK, "--no-progress", "--out", str(tmp_path), "--check")
    assert shown.exit_code == 0
    assert shown.stdout.endswith("No ratio is below its floor.\n")


@pytest.mark.parametrize(("rows", "kept"), [(6, ["call"]), (1, [])])
def test_an_interrupted_run_keeps_the_families_that_are_finished(
    rows: int, kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from halfsim import benchmarks

    measured: list[str] = []

    def measure(row: Any, *arguments: Any) -> Any:
        if len(measured) == rows:
            raise KeyboardInterrupt
        measured.append(row.family)
        return MEASURE(row, *arguments)

    MEASURE = benchmarks.measure
    monkeypatch.setattr(benchmarks, "measure", measure)
    out, only = tmp_path / "new", ("--only", "call", "--only", "growth with n")
    shown = invoke(*SMALL, *only, "--no-progress", "--out", str(out))
    assert (shown.exit_code, shown.stderr) == (130, "halfsim: interrupted\n")
    assert measured.count("call") == (4 if kept else 1)
    if not kept:
        assert (shown.stdout, list(out.iterdir())) == ("", [])
        return
    assert "add of 8 elements" in shown.stdout
    assert "n = 100" not in shown.stdout
    assert shown.stdout.endswith(f"\n{out / 'bench.json'}\n\nInterrupted: growth with n not finished, and not shown.\n")
    read = json.loads((out / "bench.json").read_text())
    assert ({row["family"] for row in read["rows"]}, read["unfinished"]) == ({"call"}, ["growth with n"])


def test_without_matplotlib_there_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    shown = invoke(*SMALL, "--no-progress", "--out", str(tmp_path))
    assert shown.exit_code == 0
    assert shown.stderr == "no picture: matplotlib is not installed (pip install 'halfsim[studies]')\n"
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


def test_the_families_are_listed() -> None:
    shown = invoke("bench", "--only", "list")
    assert shown.exit_code == 0
    assert "tensor cores" in shown.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "tensor core"), "unknown family 'tensor core'; did you mean tensor cores?"),
        (("--size", "1"), "Invalid value for '--size': 1 is not in the range 100<=x<=1000000000"),
        (("--size", f"1{21 * '0'}"), f"Invalid value for '--size': 1{21 * '0'} is not in the range 100<=x<=1000000000"),
        (("--order", "0"), "Invalid value for '--order': 0 is not in the range 16<=x<=30000"),
        (("--order", "50000"), "Invalid value for '--order': 50000 is not in the range 16<=x<=30000"),
        (
            ("--only", "call", "--order", "64", "--check"),
            "--check: floors hold for --size 1000000 and --order 512 alone; drop --check or these",
        ),
        (
            ("--only", "call", "--size", "20000", "--check"),
            "--check: floors hold for --size 1000000 and --order 512 alone; drop --check or these",
        ),
        (("--rounds", "0"), "Invalid value for '--rounds': 0 is not in the range x>=1"),
        (("--out", __file__), f"Invalid value for '-o' / '--out': Directory '{__file__}' is a file"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    shown = invoke("bench", *arguments)
    assert shown.exit_code == 2
    assert shown.stderr == f"halfsim bench: {message} (see halfsim bench --help)\n"
    assert shown.stdout == ""
