"""`halfsim train`: a file, its sweep, and one line for every mistake."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import ROOT, invoke
from tests.training.test_config import PLAIN

for _package in ("tomli_w", "pyarrow", "matplotlib", "jinja2"):
    pytest.importorskip(_package)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


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


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_full_disk_takes_one_line_and_loses_nothing(path: Path, tmp_path: Path, jobs: str) -> None:
    """A limit on the size of files stands in for the full disk: the system refuses to write on in the same way."""
    pytest.importorskip("resource")
    script = (
        "import resource as r, sys; r.setrlimit(r.RLIMIT_FSIZE, (int(sys.argv.pop(1)), r.RLIM_INFINITY));"
        "from halfsim.cli import main; sys.argv[0] = 'halfsim'; main()"
    )
    sweep = ("--set", "steps=300", "--set", "sweep.seed=[0, 1]", "--no-progress", "-j", jobs)
    results = []
    for name, limits in (("whole", [10**9]), ("full", [20_000, 60_000, 10**9])):
        out = tmp_path / name
        for limit in limits:
            line = [sys.executable, "-c", script, str(limit), "train", str(path), *sweep, "-o", str(out)]
            shown = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)
            if limit < 10**9:
                assert shown.returncode == 1
                assert shown.stderr.count("\n") == 1, shown.stderr
                assert shown.stderr.startswith(f"halfsim: {out / 'runs'}")
                assert shown.stderr.endswith("File too large; check the path and the space left\n")
        assert shown.returncode == 0, shown.stderr
        found = {p.relative_to(out): p.read_bytes() for p in out.glob("runs/*/events.jsonl")}
        results.append((found, [line.split(",")[-2:] for line in (out / "results.csv").read_text().splitlines()]))
    assert len(results[0][0]) == 2
    assert results[0] == results[1]
