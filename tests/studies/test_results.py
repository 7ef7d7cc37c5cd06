"""The committed results: their configurations, run again, must end with the very weights."""

from __future__ import annotations

import csv
import importlib
import re
import statistics
import tomllib
from pathlib import Path

import pytest

from halfsim.training.config import expand, experiment, read
from halfsim.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
CONFIGURATIONS = sorted(RESULTS.glob("*/configs/*.toml"))
QUICK = [path for path in CONFIGURATIONS if path.parts[-3] == "architectures" and path.stem.startswith("perceptron")]


def digest(path: Path) -> str:
    """The digest of the weights that the results name for a configuration."""
    with (path.parents[1] / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["seed"] == "0"]
    (found,) = [
        row["weights_sha256"] for row in rows if f"{row['part']}, {row['variant']}".replace("/", "-") == path.stem
    ]
    return found


def again(path: Path) -> str:
    (point,) = expand(read(path), str(path))
    made = experiment(point.table, str(path))
    if made.task.data.sha256 not in (path.parents[1] / "report.md").read_text():
        pytest.skip(f"{made.task.data.file} is not the file of the committed results")
    trainer = Trainer(made)
    while not trainer.done:
        trainer.advance()
    return trainer.record().weights_sha256


def test_every_study_has_committed_configurations() -> None:
    studies = {path.parts[-3] for path in CONFIGURATIONS}
    assert {"quickstart", "master-weights", "loss-scaling", "architectures", "hardware"} <= studies
    assert len(QUICK) == 3


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_quick_results_come_out_again(path: Path) -> None:
    assert again(path) == digest(path)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "path", [path for path in CONFIGURATIONS if path not in QUICK], ids=lambda path: f"{path.parts[-3]}: {path.stem}"
)
def test_results_come_out_again(path: Path) -> None:
    assert again(path) == digest(path)


def test_quick_tables_come_out_again() -> None:
    paths = sorted((RESULTS / "memory" / "configs" / "tables").glob("*.toml"))
    assert {path.stem for path in paths} == {"parameter", "paper-models", "nearly-half", "own-models"}
    for path in (path for path in paths if path.stem != "own-models"):
        config = tomllib.loads(path.read_text())
        module, _, name = config["function"].partition(":")
        rows = getattr(importlib.import_module(module), name)(**config["arguments"])
        with (RESULTS / "memory" / "tables" / f"{path.stem}.csv").open(newline="") as file:
            assert [list(row.values()) for row in csv.DictReader(file)] == [
                ["" if value is None else str(value) for value in row.values()] for row in rows
            ]


def test_every_computed_table_has_its_arguments_and_data() -> None:
    for path in RESULTS.glob("*/tables/*.csv"):
        config = tomllib.loads((path.parents[1] / "configs" / "tables" / f"{path.stem}.toml").read_text())
        assert config["function"].startswith("halfsim.studies.tables."), path
        report = (path.parents[1] / "report.md").read_text()
        assert config["function"] in report
        assert all(one["sha256"] in report for one in config["data"]), path


_QUICKSTART = {
    "weights": ("binary32", "master", "binary16 weights", "stochastic"),
    "scale": ("binary32", "scale 1", "scale 1024"),
}


def quickstart(part: str, variant: str, measure: str) -> list[float]:
    """A column of the committed quickstart, a number per seed."""
    with (RESULTS / "quickstart" / "results.csv").open(newline="") as file:
        found = [row for row in csv.DictReader(file) if (row["part"], row["variant"]) == (part, variant)]
    assert len(found) == 3
    return [float(row[measure]) for row in found]


def spread(values: list[float], factor: float, digits: int) -> str:
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    return f"{factor * mean:.{digits}f} ± {factor * deviation:.{digits}f}"


def lost(part: str, variant: str) -> str:
    """The last cell of the page's row: what was lost, if it is worth a word."""
    if variant == "binary16 weights":
        return f"{100 * statistics.fmean(quickstart(part, variant, 'updates_lost')):.0f} % of the weight updates"
    flushed = statistics.fmean(quickstart(part, variant, "gradients_flushed"))
    return f"{100 * flushed:.0f} % of the gradients" if flushed > 0.001 else ""


def test_a_page_tells_the_committed_quickstart() -> None:
    page = (ROOT / "docs" / "start" / "at-a-glance.md").read_text()
    section = page.partition("## What the main job shows")[2].partition("\n## ")[0]
    lines = [line.split("|") for line in section.splitlines() if line.startswith("|")][2:]
    told = [[cell.strip() for cell in line[3:6]] for line in lines]
    assert told == [
        [
            spread(quickstart(part, variant, "accuracy"), 100, 1),
            spread(quickstart(part, variant, "loss"), 1, 2),
            lost(part, variant),
        ]
        for part, variants in _QUICKSTART.items()
        for variant in variants
    ]
    (error,) = re.findall(r"change the gradients by up to (\d+) %", section)
    with (RESULTS / "quickstart" / "results.csv").open(newline="") as file:
        variants = {row["variant"] for row in csv.DictReader(file) if row["part"] == "scale"}
    assert int(error) == round(
        100 * max(statistics.fmean(quickstart("scale", variant, "gradient_error")) for variant in variants)
    )
