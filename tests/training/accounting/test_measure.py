"""Bytes measured of the arrays of one step, beside bytes accounted from the rows of a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from halfsim.formats import BINARY16, BINARY32
from halfsim.policy import Policy, named
from halfsim.training.accounting import CLASSES, STATES, memory
from halfsim.training.accounting.measure import step_bytes
from halfsim.training.accounting.own import account
from halfsim.training.arithmetic import arithmetic
from halfsim.training.machine import Machine
from halfsim.training.models import BatchNormNet, ConvNet, Perceptron
from halfsim.training.optim import SGD, Adagrad, Adam
from halfsim.training.tape import Tape
from halfsim.training.tasks import Classification
from halfsim.training.weights import make_weights, split

MODELS = {
    "perceptron": Perceptron(sizes=(64, 32, 16, 10)),
    "linear": Perceptron(sizes=(64, 10)),
    "convnet": ConvNet(image=(8, 8, 1), channels=(3, 5), kernels=(3, 1)),
    "wide convnet": ConvNet(image=(8, 8, 1), channels=(3, 20), kernels=(3, 1)),
    "narrow convnet": ConvNet(image=(8, 8, 1), channels=(3, 1), kernels=(3, 1)),
    "deep convnet": ConvNet(image=(8, 8, 1), channels=(2, 2, 3), kernels=(3, 1, 1)),
}
POLICIES = {
    policy.name: policy
    for policy in (
        named("binary32"),
        named("mixed"),
        replace(named("mixed"), name="binary32 gradients", gradients=BINARY32),
        replace(named("mixed"), name="binary32 activations", activations=BINARY32),
        named("binary16-stochastic"),
        named("binary16-kahan"),
        replace(named("binary16-pure"), name="pure, binary16 states", optimizer_state=BINARY16),
    )
}


def measured(model: Any, policy: Policy, optimizer: Any, batch: int) -> dict[str, int]:
    """Take one step as a trainer does, and measure what it holds."""
    task = Classification(dataset="digits")
    machine = Machine(policy)
    weights = make_weights(model.initial(0), machine, 0)
    state = optimizer.start(weights.stored.size, arithmetic(policy.optimizer_state))
    tape = Tape(machine)
    shapes = model.shapes
    views = split(weights.stored, list(shapes.values()))
    parameters = {name: tape.parameter(view) for name, view in zip(shapes, views, strict=True)}
    loss = task.loss(tape, model, parameters, task.batches(0, batch).next(), "")
    tape.backward(loss, machine.loss.number(1.0))
    gradient = np.concatenate([v.gradient.reshape(-1) for v in parameters.values()]).astype(np.float32)
    with np.errstate(all="ignore"):
        weights.move(state.step(gradient))
    return step_bytes(tape, parameters.values(), weights, state)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=lambda policy: policy.name)
@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_measured_bytes_are_those_accounted(model: Any, policy: Policy) -> None:
    for batch in (1, 7):
        found = measured(model, policy, Adam(1e-3), batch)
        assert tuple(found) == CLASSES
        assert found == memory(account(model, policy, batch), policy, 2, batch)


@pytest.mark.parametrize(
    ("optimizer", "states"),
    [(SGD(0.1), "SGD"), (SGD(0.1, momentum=0.9), "momentum"), (Adagrad(0.1), "Adagrad"), (Adam(0.1), "Adam")],
    ids=str,
)
def test_states_are_what_optimizers_remember(optimizer: Any, states: str) -> None:
    model = MODELS["linear"]
    found = measured(model, named("mixed"), optimizer, 2)
    assert found["optimizer"] == STATES[states] * 4 * 650


def test_parameters_of_own_networks_are_those_of_their_shapes() -> None:
    for model in (*MODELS.values(), ConvNet(), Perceptron(sizes=(3, 2))):
        layers = account(model, named("mixed"), 1).layers
        by_layer: dict[str, int] = {}
        for name, shape in model.shapes.items():
            layer = name.rpartition(".")[0]
            by_layer[layer] = by_layer.get(layer, 0) + int(np.prod(shape))
        assert {layer.name: layer.parameters for layer in layers if layer.parameters} == by_layer


def test_networks_without_a_table_are_refused() -> None:
    with pytest.raises(TypeError, match="is a BatchNormNet; pass a Perceptron or a ConvNet"):
        account(BatchNormNet(), named("mixed"), 1)
