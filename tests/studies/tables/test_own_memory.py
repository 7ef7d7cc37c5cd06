from __future__ import annotations

from typing import Any

import pytest

from halfsim.policy import named
from halfsim.studies.tables.memory import ROWS
from halfsim.studies.tables.own_memory import measured_bytes, own_models
from halfsim.training.accounting import CLASSES, memory
from halfsim.training.accounting.own import account
from halfsim.training.experiment import Experiment, Settings
from halfsim.training.models import Adversaries, Perceptron
from halfsim.training.optim import Adam
from halfsim.training.tasks import Adversarial, Classification
from halfsim.training.trainer import Trainer


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return own_models(batches=(1, 16), dataset="digits")


def test_measured_is_accounted_where_there_is_a_table(rows: list[dict[str, Any]]) -> None:
    assert len(rows) == 4 * 2 * len(ROWS)
    accounted = [row for row in rows if row["accounted"] is not None]
    assert {row["model"] for row in accounted} == {"perceptron", "convnet"}
    for row in rows:
        assert row["total"] == sum(row[name] for name in CLASSES) > 0
    for row in accounted:
        assert row["total"] == row["accounted"]


def test_activations_halve_and_parameters_do_not(rows: list[dict[str, Any]]) -> None:
    found = {(row["model"], row["policy"], row["batch"]): row for row in rows}
    for model in ("perceptron", "convnet", "batch-norm net", "LSTM"):
        wide, narrow = found[model, "binary32", 16], found[model, "mixed", 16]
        assert 0.45 < narrow["activations"] / wide["activations"] < 0.75
        parameters = [sum(row[name] for name in CLASSES[:-1]) for row in (wide, narrow)]
        assert parameters[0] == parameters[1]
    assert found["convnet", "mixed", 16]["ratio"] < 0.65 < found["convnet", "mixed", 1]["ratio"]


def trainer(batch: int = 4) -> Trainer:
    model = Perceptron(sizes=(64, 16, 10))
    settings = Settings(model=model, optimizer=Adam(1e-3), batch=batch, steps=2, evaluate_every=2)
    task = Classification(dataset="digits", test=10)
    return Trainer(Experiment(task=task, settings=settings, policy=named("mixed"), seed=0))


def test_a_trainer_is_measured_at_its_first_step() -> None:
    model, run = Perceptron(sizes=(64, 16, 10)), trainer()
    assert measured_bytes(run) == memory(account(model, named("mixed"), 4), named("mixed"), 2, 4)
    with pytest.raises(ValueError, match="has taken 1 steps"):
        measured_bytes(run)


def test_both_players_of_a_game_count() -> None:
    model = Adversaries()
    settings = Settings(model=model, optimizer=Adam(1e-3), batch=4, steps=1, evaluate_every=1)
    found = measured_bytes(Trainer(Experiment(task=Adversarial(), settings=settings, policy=named("binary32"), seed=0)))
    parameters = model.initial(0).size
    assert (found["weights"], found["copies"], found["gradients"]) == (4 * parameters, 0, 4 * parameters)
    assert found["optimizer"] == 8 * parameters


def test_unknown_optimizers_are_refused() -> None:
    with pytest.raises(ValueError, match="optimizer='LAMB' is unknown"):
        own_models(optimizer="LAMB")
