"""The weights of a run that move together, with their optimizer and their loss scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from halfsim.formats import BINARY16
from halfsim.kernels.binary32 import multiply
from halfsim.kernels.updates import sum_of_squares
from halfsim.policy import Policy
from halfsim.training.arithmetic import Array
from halfsim.training.experiment import Experiment
from halfsim.training.ledger import Ledger
from halfsim.training.loss_scale import LossScaler, loss_scaler, unscale
from halfsim.training.machine import Machine
from halfsim.training.optim import OptimizerState
from halfsim.training.tape import Variable
from halfsim.training.weights import Weights, make_weights, narrow, split

__all__ = ["Side", "clipped", "flat_gradient", "sides_of"]


@dataclass(slots=True)
class Side:
    """One side of a game, or the whole network.

    Parameters
    ----------
    name : str
        Of the phase that trains it.
    weights : Weights
        Its parameters, one flat vector.
    optimizer : OptimizerState
        What turns their gradient into a change.
    scaler : LossScaler
        The loss scale of its phase.
    views : dict of arrays
        Its parameters by name, as products take them; they follow the weights, which move in place.
    layers : list of (str, slice)
        Which part of the vector belongs to which layer.
    """

    name: str
    weights: Weights
    optimizer: OptimizerState
    scaler: LossScaler
    views: dict[str, Array]
    layers: list[tuple[str, slice]]

    def move(self, gradient: Array, policy: Policy, ledger: Ledger) -> None:
        """Take one step, and count what it lost.

        Parameters
        ----------
        gradient : float32 array
            Of all its parameters, unscaled and clipped.
        policy : Policy
            Of the run.
        ledger : Ledger
            Where the updates, the weights and the state of the optimizer are counted.
        """
        counted = ledger.sampling
        # What binary16 arithmetic flushed, the same step in binary32 shows; it starts from the state before.
        wide = self.optimizer.as_binary32(gradient) if counted and policy.optimizer_state == BINARY16 else None
        delta = self.optimizer.step(gradient)
        ledger.states(self.layers, self.optimizer.vectors)
        unchanged = self.weights.move(delta)
        held = narrow(delta, policy) if counted else delta
        exact = delta if wide is None else wide
        ledger.update(self.layers, delta, unchanged, exact, held, self.weights.full, self.weights.stored)

    def state(self) -> dict[str, Any]:
        """Return everything that its later steps depend on, by name."""
        parts: dict[str, Mapping[str, Any]] = {
            "weights": self.weights.state(),
            "optimizer": self.optimizer.state(),
            "scaler": self.scaler.state(),
        }
        return {f"{part} {name}": value for part, values in parts.items() for name, value in values.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        parts: dict[str, dict[str, Any]] = {"weights": {}, "optimizer": {}, "scaler": {}}
        for key, value in state.items():
            part, _, name = key.partition(" ")
            parts[part][name] = value
        self.weights.restore(parts["weights"])
        self.optimizer.restore(parts["optimizer"])
        self.scaler = self.scaler.restore(parts["scaler"])


def sides_of(experiment: Experiment, machine: Machine) -> list[Side]:
    """Return the initial weights of a network, cut into what the phases of the task train."""
    model, policy = experiment.settings.model, experiment.policy
    initial = split(model.initial(experiment.seed), list(model.shapes.values()))
    values = dict(zip(model.shapes, initial, strict=True))
    sides = []
    for number, phase in enumerate(experiment.task.phases(model)):
        shapes = {name: shape for name, shape in model.shapes.items() if name.startswith(phase.prefix)}
        flat = np.concatenate([values[name].reshape(-1) for name in shapes])
        weights = make_weights(flat, machine, experiment.seed, number)
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()]).tolist()
        sides.append(
            Side(
                name=phase.name,
                weights=weights,
                optimizer=experiment.settings.optimizer.start(flat.size, machine.optimizer),
                scaler=loss_scaler(policy.loss_scale),
                views=dict(zip(shapes, split(weights.stored, list(shapes.values())), strict=True)),
                layers=[
                    (name.rpartition(".")[0], slice(start, end))
                    for name, start, end in zip(shapes, [0, *ends], ends, strict=False)
                ],
            )
        )
    return sides


def flat_gradient(parameters: list[Variable]) -> Array:
    """Return the gradients of parameters as one binary32 vector, each with its loss scale taken out."""
    return np.concatenate(
        [
            np.zeros(x.value.size, np.float32) if x.gradient is None else unscale(x.gradient.reshape(-1), x.scale)
            for x in parameters
        ]
    )


def clipped(gradient: Array, largest: float | None) -> Array:
    """Return a gradient, shortened to a norm if it is longer.

    The squares are added in binary64 by ascending index; the factor is rounded to binary32, and so is every product.
    """
    if largest is None:
        return gradient
    norm = math.sqrt(sum_of_squares(gradient))
    return multiply(gradient, np.asarray(largest / norm, np.float32)) if norm > largest else gradient
