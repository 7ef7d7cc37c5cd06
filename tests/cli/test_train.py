"""`halfsim train`: a file, its sweep, and one line for every mistake."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.running import invoke
from tests.training.test_config import PLAIN

for _package in ("tomli_w", "pyarrow", "matplotlib", "jinja2"):
    pytest.importorskip(_package)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "demo.toml"
    found.write_text(PLAIN.replace("steps = 40", "steps = 3"))
    return found


def test_a_sweep_is_run_and_reported(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("train", str(path), "-o", str(out), "-j", "1", "--no-progress", "--set", "model.sizes=[64, 10]")
    sweep = ("--set", 'sweep.policy.update=["nearest", "kahan"]', "--set", "sweep.seed=[4, 5]")
    shown = invoke(*arguments, *sweep)
    assert shown.exit_code == 0, shown.stderr
    assert "policy.update=kahan" in shown.stdout
    assert f"Results, tables and figures are in {out}" in shown.stdout
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(row["variant"], row["seed"]) for row in rows}
    assert found == {(f"policy.update={update}", seed) for update in ("nearest", "kahan") for seed in "45"}
    assert len({row["weights_sha256"] for row in rows}) == 4
    assert len(list((out / "runs").iterdir())) == 4
    # More seeds: those that are there are not run again.
    before = {p: p.stat().st_mtime_ns for p in out.glob("runs/*/summary.json")}
    assert invoke(*arguments, *sweep, "--set", "sweep.seed=[4, 5, 6]").exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert len(list((out / "runs").iterdir())) == 6


def test_mistakes_take_one_line(path: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((str(path), "--set", "stesp=3"), "stesp is unknown; did you mean steps?"),
        ((str(path), "--set", "sweep.seed=[0, 1]", "--set", "sweep.zip=['seed']"), "must not have seed"),
        ((str(tmp_path / "none.toml"),), "does not exist"),
    ):
        shown = invoke("train", *arguments, "-o", str(tmp_path / "out"))
        assert shown.exit_code == 2
        assert message in shown.stderr
        assert shown.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists(), "something was run"


def test_no_scheduler_is_an_error_of_one_line(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    shown = invoke("train", str(path), "-o", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:9", "--no-progress")
    assert shown.exit_code == 1
    assert shown.stderr.splitlines()[-1].startswith("halfsim: no Dask scheduler answers at tcp://127.0.0.1:9")


def test_what_a_run_cannot_do_takes_one_line(path: Path, tmp_path: Path) -> None:
    shown = invoke("train", str(path), "-o", str(tmp_path / "out"), "--set", "batch=5000", "--no-progress", "-j", "1")
    assert shown.exit_code == 1
    assert "batches: size=5000 must be from 1 to the 1400 training examples" in shown.stderr
    assert shown.stderr.count("\n") == 1
