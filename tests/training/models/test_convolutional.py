from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named
from halfsim.training import nn
from halfsim.training.machine import Machine
from halfsim.training.models import BatchNormNet, ConvNet, HeatMapNet
from halfsim.training.tape import Tape
from tests.training.models.test_model import output
from tests.training.tasks.runs import start, state_of, variables


def size(model: ConvNet | HeatMapNet) -> int:
    return sum(math.prod(shape) for shape in model.shapes.values())


def test_shapes() -> None:
    assert ConvNet().shapes == {
        "conv1.weight": (5, 5, 1, 8), "conv1.bias": (8,),
        "conv2.weight": (3, 3, 8, 16), "conv2.bias": (16,),
        "linear1.weight": (784, 10), "linear1.bias": (10,),
    }  # fmt: skip
    assert size(ConvNet()) == 9226
    assert ConvNet(image=(8, 8, 1)).shapes["linear1.weight"] == (64, 10)
    assert list(BatchNormNet().shapes) == [
        "conv1.weight", "bn1.gain", "bn1.shift",
        "conv2.weight", "bn2.gain", "bn2.shift",
        "linear1.weight", "linear1.bias",
    ]  # fmt: skip
    assert size(HeatMapNet()) == 72 + 8 + 9 * 8 * 12 + 12 + 9 * 12 * 12 + 12 + 120 + 10


def test_starts() -> None:
    parts = start(HeatMapNet(), 1)
    assert parts["conv4.bias"].tolist() == [np.float32(-math.log(99))] * 10
    assert not parts["conv1.bias"].any()
    assert np.abs(start(ConvNet(head=0.25), 1)["linear1.weight"]).max() <= 0.25 * math.sqrt(6 / 784)
    normalised = start(BatchNormNet(), 1)
    assert normalised["bn2.gain"].tolist() == [1.0] * 16
    assert normalised["bn2.shift"].tolist() == [0.0] * 16


def test_a_network_computes_what_its_weights_say() -> None:
    # Kernels that pick one pixel, scale it and shift it: max pooling and ReLU remain.
    model = ConvNet(image=(4, 4, 1), channels=(1, 1), kernels=(3, 1), classes=2)
    weights = {name: np.zeros(shape, np.float32) for name, shape in model.shapes.items()}
    weights["conv1.weight"][1, 2] = 2.0  # the neighbour on the right
    weights["conv1.bias"][:] = -3.0
    weights["conv2.weight"][...] = 0.5
    weights["linear1.weight"][0] = [1.0, -1.0]
    weights["linear1.bias"][:] = [0.25, 0.5]
    machine = Machine(named("binary32"))
    tape = Tape(machine)
    x = np.float32([[[1, 5, 2, 0], [0, 3, 1, 1], [1, 1, 1, 4], [2, 0, 0, 1]]])
    y = model(tape, variables(weights, machine), tape.constant(x))
    # The largest right-hand neighbour is 5: relu(2 · 5 - 3) · 0.5 = 3.5.
    assert y.value.tolist() == [[3.75, -3.0]]


def test_a_heat_map_sees_its_surroundings_only() -> None:
    # Convolutions of 3 × 3 before and after pooling: 1 pixel, then 2 positions, 4 + 1 pixels to each side.
    x = np.zeros((1, 32, 32, 1))
    _, plain = output(HeatMapNet(), x)
    x[0, 16, 16] = 1.0
    _, touched = output(HeatMapNet(), x)
    rows, columns = np.nonzero((plain.value != touched.value).any(axis=(0, 3)))
    assert {int(rows.min()), int(columns.min())} >= {5}
    assert rows.min() >= 5 and columns.min() >= 5
    assert rows.max() <= 10 and columns.max() <= 10
    assert len(rows) > 9


def test_running_statistics_move_when_training_and_serve_when_not() -> None:
    model = BatchNormNet(image=(8, 8, 1))
    machine, state = Machine(named("mixed")), state_of(model)
    parameters = variables(start(model), machine)
    x = np.random.default_rng(0).random((16, 64)).astype(np.float16)

    def logits(training: bool, rows: slice) -> np.ndarray:
        tape = Tape(machine, state=state, training=training)
        return model(tape, parameters, tape.constant(x[rows])).value

    logits(True, slice(None))
    first = {name: value.copy() for name, value in state.items()}
    assert all(not np.array_equal(first[name], fresh) for name, fresh in state_of(model).items())
    whole = logits(False, slice(None))
    assert all(np.array_equal(state[name], value) for name, value in first.items())
    # Without training an image does not depend on the others of its batch; with it, it does.
    assert np.array_equal(logits(False, slice(0, 3)), whole[:3])
    assert not np.array_equal(logits(True, slice(0, 3)), logits(True, slice(None))[:3])


@pytest.mark.parametrize(("rule", "left"), [("weights", math.inf), ("difference", math.nan)])
def test_one_infinite_variance_poisons_the_running_one_for_ever(rule: str, left: float) -> None:
    policy = replace(named("mixed"), batch_norm=hs.Pairwise(format=hs.BINARY16))
    state: dict[str, np.ndarray] = {}
    gain, shift = np.ones(1, np.float16), np.zeros(1, np.float16)
    for size in (1.0, 300.0, 1.0, 1.0):
        tape = Tape(Machine(policy), state=state)
        x = tape.parameter((size * (-1.0) ** np.arange(64)).reshape(64, 1).astype(np.float16))
        with np.errstate(all="ignore"):
            nn.batch_norm(tape, x, tape.parameter(gain), tape.parameter(shift), "bn", rule=rule)
    assert np.array_equal(state["bn.variance"], [left], equal_nan=True)
    # Finite statistics move alike, but for a rounding.
    tape = Tape(Machine(named("mixed")), state={})
    x = tape.parameter(np.arange(8, dtype=np.float16).reshape(8, 1))
    nn.batch_norm(tape, x, tape.parameter(gain), tape.parameter(shift), "bn", momentum=0.25, rule=rule)
    assert tape.state["bn.mean"].tolist() == [0.875]
    assert tape.state["bn.variance"] == pytest.approx([2.25], rel=1e-6)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="rule='lerp' is unknown; known are weights, difference"):
        BatchNormNet(rule="lerp")
