"""Bytes of the arrays that one step of training really holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.optim import OptimizerState
from halfsim.training.tape import Tape, Variable
from halfsim.training.weights import Weights

__all__ = ["step_bytes"]


def step_bytes(
    tape: Tape,
    parameters: Iterable[Variable],
    weights: Weights,
    optimizer: OptimizerState,
    frozen: Iterable[Array] = (),
) -> dict[str, int]:
    """Return the bytes of the arrays that a step holds after its backward pass, by class of tensor.

    Parameters
    ----------
    tape : Tape
        After its backward pass.
    parameters : iterable of Variable
        Those on the tape.
    weights : Weights
        Of which the parameters are views.
    optimizer : OptimizerState
        What it remembers.
    frozen : iterable of array
        Stored weights that the step reads but does not move; they do not count.

    Returns
    -------
    dict of str to int
        Bytes of each of `halfsim.training.accounting.CLASSES`. Arrays without axes are numbers that every network has,
        and do not count; memory that two arrays share counts once.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.optim import SGD
    >>> from halfsim.training.weights import make_weights
    >>> machine = Machine(named("mixed"))
    >>> weights = make_weights(np.ones(3), machine, seed=0)
    >>> tape = Tape(machine)
    >>> w = tape.parameter(weights.stored)
    >>> tape.backward(nn.multiply(tape, w, w), np.ones(3, np.float16))
    >>> step_bytes(tape, [w], weights, SGD(0.5).start(3, machine.weights))
    {'weights': 6, 'copies': 12, 'gradients': 6, 'optimizer': 0, 'activations': 6}
    """
    stored = weights.stored.nbytes
    gradients = _distinct([v.gradient for v in parameters if v.gradient is not None])
    weights_of_all = _distinct([weights.stored, *frozen])
    kept = {key: array for key, array in _distinct(tape.kept()).items() if key not in weights_of_all}
    return {
        "weights": stored,
        "copies": _state_bytes(weights.state()) - stored,
        "gradients": sum(array.nbytes for array in gradients.values()),
        "optimizer": _state_bytes(optimizer.state()),
        "activations": sum(array.nbytes for array in kept.values()),
    }


def _owner(array: Array) -> Array:
    """Return the array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _distinct(arrays: Iterable[Array]) -> dict[int, Array]:
    owners = [_owner(array) for array in arrays if array.ndim]
    return {id(owner): owner for owner in owners}


def _state_bytes(state: Mapping[str, Any]) -> int:
    return sum(value.nbytes for value in state.values() if isinstance(value, np.ndarray) and value.ndim)
