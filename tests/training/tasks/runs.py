"""What the tests of tasks share: a tape, gradients, a few steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from halfsim.policy import named
from halfsim.training.arithmetic import Array
from halfsim.training.machine import Machine
from halfsim.training.models import Model
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks import Task

__all__ = ["descend", "start", "state_of", "tapes", "variables"]


def start(model: Model, seed: int = 0) -> dict[str, Array]:
    """The initial parameters by name, float32."""
    flat, found, first = model.initial(seed), {}, 0
    for name, shape in model.shapes.items():
        found[name] = flat[first : (first := first + math.prod(shape))].reshape(shape)
    assert first == len(flat)
    return found


def state_of(model: Model) -> dict[str, Array]:
    """Means of zero and variances of one."""
    return {name: np.full(shape, name.endswith("variance"), np.float32) for name, shape in model.state_shapes.items()}


def variables(weights: dict[str, Array], machine: Machine, prefix: str | None = None) -> dict[str, Variable]:
    """Variables of what the machine stores, whose gradient is wanted where the name begins with the prefix."""
    return {
        name: Variable(machine.weights.convert(value), needed=prefix is not None and name.startswith(prefix))
        for name, value in weights.items()
    }


def tapes(policy: str, state: dict[str, Array] | None = None) -> Callable[[], Tape]:
    """A maker of tapes for tests of networks."""
    machine = Machine(named(policy))
    return lambda: Tape(machine, state=state, training=False)


def descend(
    task: Task, model: Model, policy: str, rate: float, steps: int, batch: int, scale: float = 1.0
) -> tuple[list[dict[str, float]], dict[str, list[float]], dict[str, Array]]:
    """Take steps of normalised gradient descent on a binary32 master copy, every one on the same batch.

    Returns the measures before and after, the losses by phase, and the weights.
    """
    machine, weights, state = Machine(named(policy)), start(model), state_of(model)
    phases = task.phases(model)
    losses: dict[str, list[float]] = {phase.name: [] for phase in phases}

    def measured() -> dict[str, float]:
        return task.evaluate(model, variables(weights, machine), tapes(policy, state))

    measures = [measured()]
    examples: Any = task.batches(0, batch).next()
    for _ in range(steps):
        for phase in phases:
            tape = Tape(machine, state=state)
            parameters = variables(weights, machine, phase.prefix)
            loss = task.loss(tape, model, parameters, examples, phase.name)
            losses[phase.name].append(float(loss.value))
            tape.backward(loss, machine.loss.convert(np.float32(scale)), scale)
            mine = [name for name in weights if name.startswith(phase.prefix)]
            gradients = {name: parameters[name].gradient for name in mine}
            assert all(gradient is not None and gradient.any() for gradient in gradients.values()), gradients
            assert all(parameters[name].gradient is None for name in weights if name not in mine)
            norm = math.sqrt(sum(float(np.square(g.astype(np.float64)).sum()) for g in gradients.values()))  # type: ignore[union-attr]
            for name, gradient in gradients.items():
                weights[name] = weights[name] - np.float32(rate / norm) * gradient.astype(np.float32)  # type: ignore[union-attr]
    measures.append(measured())
    return measures, losses, weights
