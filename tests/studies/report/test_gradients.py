"""Which row the gradients of a part are those of, and where they lie."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from halfsim.studies import report
from halfsim.studies.report.gradients import constant_scale, gradients_of
from tests.studies.report import records

SCALES: dict[str, tuple[str, list[list[float]]]] = {
    "none": ("none", [[0, 1.0]]),
    "static": ("static", [[0, 1024.0]]),
    "dynamic": ("dynamic", [[0, 65536.0]]),
    "moved": ("dynamic", [[0, 65536.0], [3, 32768.0]]),
    "layer": ("layer", [[0, 2.0**20]]),
}


def run(row: str, kind: str, gradients: str = "binary16", **more: Any) -> dict[str, Any]:
    """A run with a loss scale."""
    name, curve = SCALES[kind]
    made = records.run("p", row, 0, {"loss": [2.0, 1.0]}, scale=curve, **more)
    made["config"]["policy"] |= {"gradients": gradients, "loss_scale": {"kind": name}}
    return made


def test_the_row_without_a_scale_is_taken_and_binary32_before_others() -> None:
    runs = [run("a", "static"), run("b", "none"), run("c", "none", "binary32"), run("d", "layer")]
    found = gradients_of(["a", "b", "c", "d"], runs)
    assert found is not None and (found["row"], found["scaled"]) == ("c", False)
    found = gradients_of(["a", "b"], runs)
    assert found is not None and (found["row"], found["scaled"]) == ("b", False)


def test_a_part_of_scaled_rows_says_so() -> None:
    found = gradients_of(["d", "a"], [run("d", "layer"), run("a", "static")])
    assert found is not None and (found["row"], found["scaled"]) == ("d", True)
    assert gradients_of(["a"], [run("a", "none", ledger={})]) is None


def test_scales_of_games_count() -> None:
    game = run("a", "none", phases={"D": {"scale": [[0, 8.0]]}, "G": {"scale": [[0, 1.0]]}})
    found = gradients_of(["a", "b"], [game, run("b", "none")])
    assert found is not None and found["row"] == "b"


def test_only_static_scales_are_constant() -> None:
    assert constant_scale([run(kind, kind) for kind in SCALES]) == 1024
    assert constant_scale([run("a", "none"), run("d", "layer"), run("e", "dynamic")]) is None


def written(out: Path, *runs: dict[str, Any]) -> tuple[str, set[str]]:
    """The report of a part, and its figures."""
    report.write(records.study(records.part("p", [one["variant"] for one in runs])), list(runs), [], out)
    return (out / "report.md").read_text(), {path.stem for path in (out / "figures").glob("*.csv")}


def test_the_report_says_where_gradients_lie(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    text, _ = written(tmp_path, run("b", "static"), run("a", "none"))
    assert "| gradients of a, without loss scale | zero % | < 2^-25 % | < 2^-24 % | 2^-24 … 2^-14 % |" in text
    page = (tmp_path / "report.html").read_text()
    assert "Gradients of a, without loss scale, all layers and seeds" in page
    assert "largest constant loss scale" in page
    counts = run("a", "none")["ledger"]["histograms"]["weight gradient"]
    below = 100 * sum(counts[1:37]) / sum(counts[1:-1])
    (row,) = [line for line in text.splitlines() if line.startswith("| weight gradients")]
    assert float(row.split("|")[4]) == pytest.approx(below, rel=0.01)


def test_scaled_gradients_have_no_arrow(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    text, _ = written(tmp_path, run("a", "static"), run("b", "dynamic"))
    assert "gradients of a, with its loss scale" in text
    assert "largest constant loss scale" not in (tmp_path / "report.html").read_text()


def test_scales_per_layer_have_no_single_curve(tmp_path: Path) -> None:
    assert "p-scale" not in written(tmp_path / "1", run("a", "none"), run("d", "layer", skipped=[3]))[1]
    _, names = written(tmp_path / "2", run("m", "moved"), run("d", "layer", skipped=[3]))
    assert "p-scale" in names
    with (tmp_path / "2" / "figures" / "p-scale.csv").open(newline="") as file:
        assert {row["variant"] for row in csv.DictReader(file)} == {"m"}
