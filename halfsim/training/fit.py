"""Whether a network takes the data of a task: asked once before a run starts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from halfsim.policy import named
from halfsim.training.machine import Machine
from halfsim.training.models import Model
from halfsim.training.tape import Tape
from halfsim.training.tasks import Task

__all__ = ["check_fit"]


@lru_cache(maxsize=256)
def check_fit(model: Model, task: Task) -> None:
    """Raise ValueError unless the network computes every loss of the task on one example.

    Shapes do not depend on the precision or on the weights: binary32, and zeros, will do. A pair that fits is not
    computed again.

    Parameters
    ----------
    model : Model
        The network.
    task : Task
        Data and loss.

    Examples
    --------
    >>> from halfsim.training.models import Perceptron
    >>> from halfsim.training.tasks import Classification
    >>> check_fit(Perceptron(sizes=(64, 9)), Classification(dataset="digits"))
    Traceback (most recent call last):
        ...
    ValueError: Classification: 9 outputs are too few; give the last layer 10 or more
    """
    machine = Machine(named("binary32"))
    state = {name: np.full(shape, name.endswith(".variance"), np.float32) for name, shape in model.state_shapes.items()}
    batch = task.batches(0, 1).next()
    for phase in task.phases(model):
        tape = Tape(machine, state=state)
        parameters = {name: tape.parameter(np.zeros(shape, np.float32)) for name, shape in model.shapes.items()}
        try:
            task.loss(tape, model, parameters, batch, phase.name)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise ValueError(
                f"check_fit: {type(model).__name__} is no network for {type(task).__name__}; "
                "pass one that takes its batches"
            ) from error
