"""What a trainer needs of a task, and how a network is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.data import Dataset
from halfsim.training.models import Model
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks.streams import Batches, BatchSize

__all__ = ["Parameters", "Phase", "TapeFactory", "Task", "check_outputs", "constant", "nats", "outputs"]

Parameters: TypeAlias = Mapping[str, Variable]
TapeFactory: TypeAlias = Callable[[], Tape]


@dataclass(frozen=True, slots=True)
class Phase:
    """Parameters that are trained together, with an optimizer and a loss scale of their own.

    Parameters
    ----------
    name : str
        Handed to `Task.loss`.
    prefix : str
        What the names of the parameters begin with; "" for all.

    Examples
    --------
    >>> from halfsim.training.tasks import Phase
    >>> Phase("generator", "generator.").prefix
    'generator.'
    """

    name: str
    prefix: str


class Task(ABC):
    """Data, batches, the loss on the tape, and the measures of a trained network.

    Examples
    --------
    >>> from halfsim.training.models import Adversaries
    >>> from halfsim.training.tasks import Adversarial, Classification, Task
    >>> def trained(task: Task, model):
    ...     return task.data.name, [phase.name for phase in task.phases(model)]
    >>> trained(Adversarial(), Adversaries())
    ('digits', ['discriminator', 'generator'])
    """

    __slots__ = ()

    @property
    @abstractmethod
    def data(self) -> Dataset:
        """The data, read when they are asked for."""

    def phases(self, model: Model) -> tuple[Phase, ...]:
        """Return what is trained in turn at every step.

        Parameters
        ----------
        model : Model
            The network, whose parameters are shared out among the phases.

        Returns
        -------
        tuple of Phase
            One of all parameters, but for games.
        """
        return (Phase("", ""),)

    @abstractmethod
    def batches(self, seed: int, size: BatchSize) -> Batches:
        """Return batches of `size` training examples ("full": all of them), the same for the same seed.

        Parameters
        ----------
        seed : int
            Of the run.
        size : int or "full"
            Examples of a batch.

        Returns
        -------
        Batches
            They never end; epoch after epoch in another order.

        Raises
        ------
        ValueError
            For a size that is not 1 to the number of training examples.
        """

    @abstractmethod
    def loss(self, tape: Tape, model: Any, parameters: Parameters, batch: Any, phase: str) -> Variable:
        """Return the training loss of a batch, a scalar on the tape.

        Parameters
        ----------
        tape : Tape
            What computes and records.
        model : Model
            The network.
        parameters : mapping of str to Variable
            All parameters, by name.
        batch : tuple of array
            What `batches` gave.
        phase : str
            Name of the phase; "" for tasks of one.

        Returns
        -------
        Variable
            Without axes, in the format of the policy's ``loss``; not scaled.

        Raises
        ------
        ValueError
            For a network with too few outputs.
        """

    @abstractmethod
    def evaluate(self, model: Any, parameters: Parameters, tape_factory: TapeFactory) -> dict[str, float]:
        """Return measures on the test data, "loss" first.

        The network runs on tapes of the factory, in the arithmetic of the policy; what is made of its outputs is
        computed in binary64 and is no part of the run.

        Parameters
        ----------
        model : Model
            The network.
        parameters : mapping of str to Variable
            All parameters, by name, as stored.
        tape_factory : callable
            Without arguments to a tape that is not training; called for every chunk of the test data.

        Returns
        -------
        dict of str to float
            The same keys at every call.
        """


def check_outputs(task: Task, logits: Array, classes: int) -> None:
    """Raise ValueError unless the logits (..., N) have one for every class that a label can be."""
    if (found := logits.shape[-1]) < classes:
        raise ValueError(f"{type(task).__name__}: {found} outputs are too few; give the last layer {classes} or more")


def constant(tape: Tape, x: Array) -> Variable:
    """Return data on the tape: they are binary16, which both formats of activations hold exactly, unless it flushes."""
    activations = tape.machine.activations
    return tape.constant(activations.convert(x.astype(activations.dtype, copy=False)))


def outputs(
    model: Callable[[Tape, Parameters, Any], Variable],
    parameters: Parameters,
    tape_factory: TapeFactory,
    x: Array,
    chunk: int,
) -> Iterator[tuple[slice, Array]]:
    """Yield the outputs of a network for `chunk` examples after the other as float64, with the range they belong to.

    Integers, which are tokens, go in as they are.
    """
    for start in range(0, len(x), chunk):
        tape, part = tape_factory(), slice(start, min(start + chunk, len(x)))
        inputs = x[part] if x.dtype.kind == "i" else constant(tape, x[part])
        yield part, model(tape, parameters, inputs).value.astype(np.float64)


def nats(logits: Array, labels: Array) -> Array:
    """Return ``-log p[label]`` of every row in binary64, p the softmax of the logits (..., N)."""
    z = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(z).sum(axis=-1)) - np.take_along_axis(z, labels[..., None], -1)[..., 0])
