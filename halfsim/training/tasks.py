"""What is learned: data, batches, the loss on the tape, and the measures of a trained network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from halfsim.training import nn
from halfsim.training.arithmetic import Array
from halfsim.training.data import Dataset, digits, heat_map
from halfsim.training.tape import Tape, Variable
from halfsim.training.words import Words

__all__ = ["TASKS", "Classification", "Detection", "Task", "batches", "task"]


class Task(Protocol):
    """What the loop needs to know of a task."""

    @property
    def data(self) -> Dataset:
        """The data."""

    def inputs(self, x: Array) -> Array:
        """Return a batch as the matrix that the network takes."""

    def loss(self, tape: Tape, logits: Variable, targets: Array) -> Variable:
        """Return the training loss."""

    def measure(self, logits: Array, targets: Array) -> dict[str, float]:
        """Return measures, "loss" and "accuracy" among them, computed in binary64: they are no part of the run."""


@dataclass(frozen=True, slots=True)
class Classification:
    """Which digit is it: softmax over ten classes, mean cross entropy."""

    data: Dataset

    def inputs(self, x: Array) -> Array:
        """Return a batch as the matrix that the network takes."""
        return x

    def loss(self, tape: Tape, logits: Variable, targets: Array) -> Variable:
        """Return the training loss."""
        return nn.softmax_cross_entropy(tape, logits, targets)

    def measure(self, logits: Array, targets: Array) -> dict[str, float]:
        """Return loss per example in nats and accuracy, computed in binary64."""
        z = logits.astype(np.float64)
        z -= z.max(axis=1, keepdims=True)
        losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), targets]
        return {"loss": float(losses.mean()), "accuracy": float((z.argmax(axis=1) == targets).mean())}


@dataclass(frozen=True, slots=True)
class Detection:
    """Where is which digit: a sigmoid per position and class, cross entropy averaged over all of them.

    A network slides over the canvas: one row of its input is one window. Accuracy is the share of canvases whose
    largest logit at the digit's position is that of its class; false alarms are the probabilities of everything that is
    not there, added up over a canvas.
    """

    data: Dataset

    def inputs(self, x: Array) -> Array:
        """Return a batch as the matrix that the network takes."""
        return x.reshape(-1, x.shape[-1])

    def loss(self, tape: Tape, logits: Variable, targets: Array) -> Variable:
        """Return the training loss."""
        return nn.sigmoid_cross_entropy(tape, logits, targets.reshape(logits.value.shape))

    def measure(self, logits: Array, targets: Array) -> dict[str, float]:
        """Return loss and false alarms per canvas, and accuracy, computed in binary64."""
        z = logits.astype(np.float64).reshape(targets.shape)
        e = np.exp(-np.abs(z))
        losses = np.maximum(z, 0) - np.where(targets, z, 0) + np.log1p(e)
        p = np.where(z >= 0, 1, e) / (1 + e)
        canvas, position, label = np.nonzero(targets)
        right = z[canvas, position].argmax(axis=1) == label
        return {
            "loss": float(losses.sum() / len(targets)),
            "accuracy": float(right.mean()),
            "false alarms": float(np.where(targets, 0, p).sum() / len(targets)),
        }


def task(name: str) -> Task:
    """Return a task by its name in `TASKS`."""
    if name not in TASKS:
        raise ValueError(f"task: unknown task {name!r}; known are {', '.join(TASKS)}")
    return TASKS[name]()


def batches(data: Dataset, size: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield batches for ever, every example at most once per epoch in an order that depends on the seed alone."""
    random = Words(seed, 1)
    x, y = data.train
    if size > len(x):
        raise ValueError(
            f"batches: size={size} exceeds the {len(x)} training examples of {data.name}; pass at most that"
        )
    while True:
        order = random.permutation(len(x))
        for start in range(0, len(x) - size + 1, size):
            chosen = order[start : start + size]
            yield x[chosen], y[chosen]


TASKS: dict[str, Callable[[], Task]] = {
    "digits": lambda: Classification(digits()),
    "heat-map": lambda: Detection(heat_map()),
}
"""The tasks by name; data are read when one is asked for."""
