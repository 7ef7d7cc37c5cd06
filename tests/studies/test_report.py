from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from halfsim.studies import STUDIES, Study, report
from tests.studies.grids import part


def run(policy: str, seed: int, accuracy: float, loss: float | None) -> dict[str, Any]:
    record = {
        "measures": {"loss": [2.0, loss], "accuracy": [0.1, accuracy]},
        "ledger": {"updates_lost": 0.25, "gradients_flushed": 0.5, "gradient_error": 0.01},
        "skipped": [3],
        "scale": [1.0, 8.0],
        "weights_sha256": "0" * 64,
    }
    return {"id": f"{policy}{seed}", "part": "tiny", "policy": policy, "seed": seed, "record": record}


RUNS = [
    run("binary32", 0, 0.5, 1.0), run("mixed-scaled", 0, 0.4, 1.5), run("binary16-stochastic", 0, 0.5, None),
    run("binary32", 1, 0.7, 2.0), run("mixed-scaled", 1, 0.7, 1.5), run("binary16-stochastic", 1, 0.7, 2.0),
]  # fmt: skip


def test_a_summary_has_means_sample_deviations_and_paired_differences() -> None:
    baseline, mixed, other = report.summarise(RUNS, part())
    assert baseline["accuracy"] == pytest.approx((0.6, 0.02**0.5))
    assert baseline["loss_difference"] == (0, 0)
    assert mixed["accuracy_difference"] == pytest.approx((-0.05, 0.005**0.5))
    assert mixed["loss_difference"] == pytest.approx((0, 0.5**0.5))
    assert mixed["seeds"] == 2
    assert mixed["steps_skipped"] == (1, 0)
    assert other["loss"] is None


def test_the_table_is_aligned_and_says_nan() -> None:
    lines = report.table(report.summarise(RUNS, part())).splitlines()
    assert len(lines) == 5
    assert len({len(line) for line in lines}) == 1
    assert "60.0 ± 14.1" in lines[2]
    assert "−5.0 ± 7.1" in lines[3]
    assert "+0.000 ± 0.707" in lines[3]
    assert lines[4].count("NaN") == 2


def test_rows_are_flat() -> None:
    row = report.rows(RUNS)[1]
    assert row["accuracy"] == 0.4
    assert row["final_scale"] == 8.0
    assert row["steps_skipped"] == 1


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    study = Study(name="tiny", summary="a small thing", claim="It works.", parts=(part(),))
    return study, study.run(tmp_path_factory.mktemp("out"), seeds=2, jobs=1, progress=False)


def test_a_study_leaves_results_tables_and_figures(made: tuple[Study, Path]) -> None:
    study, out = made
    assert {path.name for path in out.iterdir()} >= {"results.json", "results.csv", "report.md", "runs"}
    with (out / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["policy"], row["seed"]) for row in table][:2] == [("binary32", "0"), ("mixed-scaled", "0")]
    assert all(len(row["weights_sha256"]) == 64 for row in table)
    text = study.report(out)
    assert text == (out / "report.md").read_text()
    assert "| mixed-scaled " in text
    assert "sha256" in text


def test_a_study_may_ask_the_same_of_two_parts(tmp_path: Path) -> None:
    tiny = part(steps=2)
    study = Study(name="twice", summary="s", claim="c", parts=(tiny, replace(tiny, name="again", title="Again")))
    text = study.report(study.run(tmp_path, seeds=1, jobs=1, progress=False))
    assert text.count("| mixed-scaled ") == 2
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_the_report_says_what_stays_binary32(made: tuple[Study, Path]) -> None:
    text = " ".join((made[1] / "report.md").read_text().split())
    assert "The optimizer's state and arithmetic are binary32 under every policy." in text


def test_a_study_draws_its_figures(made: tuple[Study, Path]) -> None:
    pytest.importorskip("matplotlib")
    for name in ("tiny-curves.png", "tiny-gradients.png"):
        assert (made[1] / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_second_call_writes_the_same_results(made: tuple[Study, Path]) -> None:
    study, out = made
    before = (out / "results.json").read_bytes()
    study.run(out, seeds=2, jobs=1, progress=False)
    assert (out / "results.json").read_bytes() == before


def test_a_report_of_nothing_names_the_way_out(tmp_path: Path, made: tuple[Study, Path]) -> None:
    with pytest.raises(FileNotFoundError, match="halfsim study run quickstart makes them"):
        STUDIES["quickstart"].report(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no results of quickstart"):
        STUDIES["quickstart"].report(made[1])


def test_the_quickstart_covers_what_it_claims() -> None:
    study = STUDIES["quickstart"]
    policies = study.policies
    assert [part.policies[0].name for part in study.parts] == ["binary32", "binary32"]
    assert {str(policy.update) for policy in policies} == {"master", "nearest", "stochastic", "kahan"}
    assert {str(policy.loss_scale) for policy in policies} == {"none", "8", "1024", "dynamic"}
    assert len({policy.weight_gradient for policy in policies}) == 6
