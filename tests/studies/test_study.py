"""Studies: runs, computed tables and checks under one name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pytest.importorskip("pyarrow")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from halfsim import studies
from halfsim.studies import STUDIES, Check, Study, Table
from halfsim.studies.grid import TableJob
from tests.cli.running import invoke
from tests.studies.grids import part

POWERS = Table(
    name="powers",
    title="Powers",
    claim="They grow.",
    function="tests.studies.test_runner:squares",
    arguments={"numbers": [2, 3]},
    columns=("n", "power"),
)
MET = (
    Check(name="nine", part="powers", row=3, measure="power", low=9, high=9),
    Check(name="five more", part="powers", row=3, measure="power", low=5, high=5, against=2),
    Check(name="a start", part="tiny", row="binary32", measure="loss", low=2.0, high=3.0),
    Check(
        name="alike",
        part="tiny",
        row="mixed-scaled",
        measure="loss",
        low=0.99,
        high=1.01,
        against="binary32",
        relative=True,
    ),
)
TINY = Study(
    name="tiny",
    summary="short",
    claim="It runs.",
    paper="Nothing.",
    limits="Everything.",
    parts=(part(), POWERS),
    checks=MET,
    seeds=2,
)


def run(study: Study, out: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Any:
    monkeypatch.setitem(studies.STUDIES, study.name, study)
    return invoke("study", "run", study.name, "-o", str(out), "-j", "1", "--no-progress", *more)


def test_a_study_runs_and_its_checks_decide_the_exit_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(TINY, tmp_path, monkeypatch)
    assert shown.exit_code == 0, shown.stdout + shown.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert [check["passed"] for check in results["checks"]] == [True] * 4
    assert len(results["runs"]) == 6, "two seeds by default"
    assert (tmp_path / "report.html").exists()
    wrong = Check(name="ten", part="powers", row=3, measure="power", low=10, high=11)
    strict = replace(TINY, checks=(*MET, wrong))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*")}
    shown = run(strict, tmp_path, monkeypatch)
    assert shown.exit_code == 1
    assert "ten" in shown.stdout
    assert [check["name"] for check in strict.failed(tmp_path)] == ["ten"]
    assert {path: path.stat().st_mtime_ns for path in before} == before, "something was run again"
    assert invoke("study", "report", "tiny", "-o", str(tmp_path)).stdout in shown.stdout


def test_seeds_are_those_of_the_study_or_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(replace(TINY, checks=()), tmp_path, monkeypatch, "--seeds", "1")
    assert len(list(tmp_path.glob("runs/*"))) == 4


def test_an_unknown_study_is_suggested() -> None:
    shown = invoke("study", "run", "quickstrat")
    assert shown.exit_code == 2
    assert "unknown study 'quickstrat'; did you mean quickstart?" in shown.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": (part(), replace(POWERS, name="tiny"))}, "must differ in name"),
        ({"checks": (replace(MET[0], part="other"),)}, "part='other' is unknown; known are tiny, powers"),
        ({"checks": (replace(MET[2], row="other"),)}, "row 'other' is unknown; known are binary32, mixed-scaled"),
        ({"checks": (replace(MET[3], against="other"),)}, "row 'other' is unknown"),
    ],
)
def test_a_study_names_what_is_wrong_with_it(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)


def test_a_check_names_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match=r"nine: low=10 must not exceed high=9"):
        replace(MET[0], low=10)
    with pytest.raises(ValueError, match="needs the row that it is relative to"):
        replace(MET[0], relative=True)


def test_every_study_says_what_it_claims() -> None:
    for name, study in STUDIES.items():
        assert study.name == name
        assert study.summary and study.claim and study.parts
        assert study.policies or all(isinstance(table, Table) for table in study.parts)


def test_a_bad_folder_of_data_harms_only_what_needs_it(tmp_path: Path) -> None:
    """In a process of its own: nothing looks for data when it is imported."""
    code = (
        "from halfsim.studies import STUDIES\n"
        "from halfsim.training.tasks import Classification\n"
        "from halfsim.studies.recipes import IMAGES\n"
        "print(len(STUDIES), Classification(dataset='digits').data.name)\n"
        "IMAGES.data\n"
    )
    environment = {**os.environ, "HALFSIM_DATA": str(tmp_path / "nowhere")}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == [str(len(STUDIES)), "digits"]
    assert ran.returncode and "fashion_folder: HALFSIM_DATA=" in ran.stderr


def test_a_table_is_named_by_its_data_too() -> None:
    bare, read = (TableJob(table=replace(POWERS, tasks=tasks)) for tasks in ((), (part().task,)))
    assert bare.config["data"] == [] and [one["name"] for one in read.config["data"]] == ["digits"]
    assert bare.id != read.id
