from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("sklearn")

from halfsim.training.arithmetic import Array
from halfsim.training.models import HeatMapNet, Model, Perceptron
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks import Canvases, HeatMap, Task
from tests.training.tasks.runs import descend, start, tapes, variables

WINDOWS = HeatMap(train=48, test=10)
CANVASES = Canvases(train=48, test=10)


class Answers:
    """A network that knows the test data, or nothing."""

    def __init__(self, logits: Array) -> None:
        self._logits = logits.astype(np.float32)

    def __call__(self, tape: Tape, parameters: object, x: Variable) -> Variable:
        return tape.constant(self._logits)


@pytest.mark.parametrize(("task", "digits"), [(WINDOWS, 10), (CANVASES, None)])
def test_measures_of_perfect_and_of_empty_answers(task: Task, digits: int | None) -> None:
    targets = task.data.test[1]
    digits = digits or int(targets.sum())
    perfect = task.evaluate(Answers(np.where(targets, 50.0, -50.0)), {}, tapes("binary32"))
    assert perfect == {"loss": pytest.approx(0), "accuracy": 1.0, "false alarms": pytest.approx(0)}
    undecided = task.evaluate(Answers(np.zeros(targets.shape)), {}, tapes("binary32"))
    assert undecided["loss"] == pytest.approx(2560 * np.log(2))
    assert undecided["false alarms"] == pytest.approx((2560 - digits / 10) / 2)
    # Larger logits for the next class at every position.
    wrong = task.evaluate(Answers(np.roll(np.where(targets, 50.0, -50.0), 1, axis=-1)), {}, tapes("binary32"))
    shared = int((targets.reshape(-1, 10).sum(axis=1) > 1).sum())
    assert wrong["accuracy"] <= 2 * shared / digits
    assert wrong["false alarms"] == pytest.approx(digits / 10, rel=0.1)


@pytest.mark.parametrize("task", [HeatMap(train=48, test=300), Canvases(train=48, test=300)])
def test_measures_do_not_depend_on_how_canvases_are_grouped(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Model = Perceptron(sizes=(64, 4, 10)) if isinstance(task, HeatMap) else HeatMapNet(channels=(2, 2, 2))
    factory = tapes("mixed")
    parameters = variables(start(model), factory().machine)
    together = task.evaluate(model, parameters, factory)
    monkeypatch.setattr("halfsim.training.tasks.detection._CHUNK", 77)
    assert task.evaluate(model, parameters, factory) == together


def test_the_untrained_detector_holds_everything_for_unlikely() -> None:
    measures = CANVASES.evaluate(
        HeatMapNet(), variables(start(HeatMapNet()), tapes("binary32")().machine), tapes("binary32")
    )
    digits = CANVASES.data.test[1].sum() / 10
    # With the probability 0.01 everywhere: -log 0.99 for what is not there, log 100 for what is.
    assert measures["loss"] == pytest.approx(-(2560 - digits) * math.log(0.99) + digits * math.log(100), rel=0.02)
    assert measures["false alarms"] == pytest.approx(25.6, rel=0.05)


@pytest.mark.parametrize("policy", ["binary32", "mixed"])
@pytest.mark.parametrize(
    ("task", "model"),
    [(WINDOWS, Perceptron(sizes=(64, 16, 10), head=0.1, bias=-math.log(999))), (CANVASES, HeatMapNet())],
)
def test_networks_learn(task: Task, model: Model, policy: str) -> None:
    measures, losses, _ = descend(task, model, policy, rate=0.3, steps=6, batch=24, scale=1024.0)
    assert losses[""][-1] < losses[""][0]
    assert measures[1]["loss"] < measures[0]["loss"]


@pytest.mark.parametrize("task", [WINDOWS, CANVASES])
def test_batches_go_on_where_their_state_was_taken(task: Task) -> None:
    stream, again = task.batches(1, 20), task.batches(1, 20)
    for _ in range(5):
        stream.next()
    again.restore(stream.state())
    assert all(np.array_equal(a, b) for a, b in zip(stream.next(), again.next(), strict=True))
