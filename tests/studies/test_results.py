"""The committed results: their configurations, run again, must end with the very weights."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from halfsim.training.config import expand, experiment, read
from halfsim.training.trainer import Trainer

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
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
