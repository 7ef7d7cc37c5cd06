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
        ((str(path), "--set", "sweep=5"), "sweep=5 must be a table"),
        ((str(path), "--set", "sweep.zip=5"), "sweep.zip=5 must be a list"),
        ((str(path), "--set", "batch=5000"), "batch=5000: size=5000 must be from 1 to the 1400 training examples"),
        ((str(path), "--set", "model.sizes=[64, 16, 9]"), "9 outputs are too few"),
        ((str(path), "--set", "sweep.model.sizes=[[64, 10], [63, 10]]"), "sizes=[63, 10] does not fit"),
        ((str(tmp_path / "none.toml"),), "does not exist"),
    ):
        shown = invoke("train", *arguments, "-o", str(tmp_path / "out"))
        assert shown.exit_code == 2
        assert message in shown.stderr
        assert shown.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists(), "something was run"


def test_no_scheduler_is_an_error_of_one_line(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    arguments = ["train", str(path), "-o", str(tmp_path / "out"), "--no-progress", "--scheduler"]
    # In a process of its own: what a client left behind would complain at exit.
    script = (
        "import sys; from halfsim.cli import main\n"
        "for address in sys.argv.pop().split():\n"
        "    try: main([*sys.argv[1:], address])\n"
        "    except SystemExit as end: print(end.code)\n"
    )
    addresses = ("foo", "foo:bar", "foo://x:1", "tcp://")
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments, " ".join(addresses)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.split() == ["2"] * 4
    lines = done.stderr.splitlines()
    assert len(lines) == 4, done.stderr
    for line, address in zip(lines, addresses, strict=True):
        assert f" train: scheduler={address!r} is no address: " in line
    shown = invoke(*arguments, "tcp://127.0.0.1:9")
    assert shown.exit_code == 1
    assert shown.stderr.splitlines()[-1].startswith("halfsim: no Dask scheduler answers at tcp://127.0.0.1:9")


def test_a_full_disk_takes_one_line_and_loses_nothing(path: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk: the system refuses to write on in the same way."""
    pytest.importorskip("resource")
    script = (
        "import resource as r, sys; from halfsim.cli import main\n"
        "for limit in (20_000, 60_000):\n"
        "    r.setrlimit(r.RLIMIT_FSIZE, (limit, r.RLIM_INFINITY))\n"
        "    try: main(sys.argv[1:])\n"
        "    except SystemExit as end: print(end.code)\n"
    )
    sweep = ("train", str(path), "--set", "steps=150", "--set", "sweep.seed=[0, 1]", "--no-progress")
    results = []
    for name, jobs, full in (("whole", "1", False), ("one process", "1", True), ("two", "2", True)):
        out = tmp_path / name
        arguments = (*sweep, "-j", jobs, "-o", str(out))
        if full:  # at first a state is larger than the limit, then all events are
            line = [sys.executable, "-c", script, *arguments]
            done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)
            assert (done.returncode, done.stdout.split()) == (0, ["1", "1"])
            assert done.stderr.count("\n") == 2, done.stderr
            for said in done.stderr.splitlines():
                assert said.startswith(f"halfsim: {out / 'runs'}")
                assert said.endswith("File too large; check the path and the space left")
        shown = invoke(*arguments)
        assert shown.exit_code == 0, shown.stderr
        found = {p.relative_to(out): p.read_bytes() for p in out.glob("runs/*/events.jsonl")}
        results.append((found, [line.split(",")[-2:] for line in (out / "results.csv").read_text().splitlines()]))
    assert len(results[0][0]) == 2
    assert results[0] == results[1] == results[2]
