"""A study from its runs to its report, and what the quickstart claims."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")
pytest.importorskip("tomli_w")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from halfsim.studies import STUDIES, Study
from halfsim.studies.grid import Table
from halfsim.studies.study import Check
from tests.studies.grids import part


def study() -> Study:
    table = Table(
        name="sums",
        title="Sums",
        claim="Long sums are wrong.",
        function="halfsim.studies.tables.accumulation:error_against_k",
        arguments={"dataset": "digits", "lengths": [64, 1024], "side": 2},
        columns=("accumulator", "K", "error"),
        figure="halfsim.plotting:error_against_length",
        drawing={"only": ["binary16", "binary32"]},
    )
    checks = (
        Check(name="nothing is lost", part="tiny", row="mixed-scaled", measure="loss", low=0.99, high=1.01,
              against="binary32", relative=True),
        Check(name="longer is worse", part="sums", row={"accumulator": "binary16", "K": 1024}, measure="error", low=0,
              high=1, against={"accumulator": "binary16", "K": 64}),
        Check(name="never", part="tiny", row="binary32", measure="accuracy", low=2, high=3),
    )  # fmt: skip
    return Study(name="tiny", summary="a small thing", claim="It works.", parts=(part(), table), checks=checks)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study().run(tmp_path_factory.mktemp("out"), seeds=2, jobs=1, progress=False)


def test_a_study_leaves_results_tables_and_figures(out: Path) -> None:
    names = {"results.json", "results.csv", "results.parquet", "report.md", "report.html", "figures", "tables", "runs"}
    assert {path.name for path in out.iterdir()} == names
    with (out / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["variant"], row["seed"]) for row in table][:2] == [("binary32", "0"), ("mixed-scaled", "0")]
    assert all(len(row["weights_sha256"]) == 64 for row in table)
    figures = {path.name for path in (out / "figures").iterdir()}
    assert {"tiny-loss.svg", "tiny-accuracy.png", "tiny-gradients.csv", "tiny-memory.png", "sums.svg"} <= figures


def test_the_report_is_what_was_written(out: Path) -> None:
    text = study().report(out)
    assert text == (out / "report.md").read_text()
    assert "| mixed-scaled " in text
    assert "| binary16 " in text
    assert "sha256" in text
    assert "2 of 3 met." in text
    assert [check["name"] for check in study().failed(out)] == ["never"]


def test_a_second_call_writes_the_same_bytes(out: Path) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    before = contents()
    study().run(out, seeds=2, jobs=1, progress=False)
    assert contents() == before


def test_a_study_may_ask_the_same_of_two_parts(tmp_path: Path) -> None:
    tiny = part(steps=2)
    twice = Study(name="twice", summary="s", claim="c", parts=(tiny, replace(tiny, name="again", title="Again")))
    text = twice.report(twice.run(tmp_path, seeds=1, jobs=1, progress=False))
    outcomes = [line for line in text.splitlines() if line.startswith("| mixed-scaled ") and " 1 |" in line]
    assert len(outcomes) == 2
    assert len([path for path in (tmp_path / "runs").iterdir() if path.is_dir()]) == 3


def test_a_report_of_nothing_names_the_way_out(tmp_path: Path, out: Path) -> None:
    with pytest.raises(FileNotFoundError, match="halfsim study run quickstart makes them"):
        STUDIES["quickstart"].report(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no results of quickstart"):
        STUDIES["quickstart"].report(out)


def test_the_quickstart_covers_what_it_claims() -> None:
    quickstart = STUDIES["quickstart"]
    policies = quickstart.policies
    assert [each.rows[0].name for each in quickstart.parts] == ["binary32", "binary32"]
    assert {str(policy.update) for policy in policies} == {"master", "nearest", "stochastic", "kahan"}
    assert {str(policy.loss_scale) for policy in policies} == {"none", "8", "1024", "dynamic"}
    assert len({policy.weight_gradient for policy in policies}) == 5
