"""Bytes of a training step: what each number of a network takes under a policy."""

from __future__ import annotations

from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.policy import Policy, WeightUpdate
from halfsim.training.accounting.layers import Network

__all__ = ["CLASSES", "COPIES", "STATES", "bytes_per_parameter", "memory"]

CLASSES = ("weights", "copies", "gradients", "optimizer", "activations")
"""Classes of tensors: stored weights; what an update keeps beside them; gradients of parameters; state; activations."""

COPIES: dict[object, Format] = {WeightUpdate.master: BINARY32, WeightUpdate.kahan: BINARY16}
"""What an update keeps beside every stored weight; other updates keep nothing."""

STATES = {"SGD": 0, "momentum": 1, "Adagrad": 1, "Adam": 2}
"""Numbers that an optimizer remembers for every parameter."""


def bytes_per_parameter(policy: Policy, states: int) -> dict[str, int]:
    """Return the bytes of one parameter by class of tensor.

    Parameters
    ----------
    policy : Policy
        What is stored; nothing but its fields matters.
    states : int
        Numbers that the optimizer remembers per parameter, as in `STATES`.

    Returns
    -------
    dict of str to int
        All of `CLASSES` but activations. A master copy in the format of the weights is the weight itself.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.training.accounting import STATES, bytes_per_parameter
    >>> bytes_per_parameter(named("mixed"), STATES["Adam"])
    {'weights': 2, 'copies': 4, 'gradients': 2, 'optimizer': 8}
    """
    copy = COPIES.get(policy.update)
    is_weight = policy.update is WeightUpdate.master and copy == policy.weights
    return {
        "weights": _bytes(policy.weights),
        "copies": 0 if copy is None or is_weight else _bytes(copy),
        "gradients": _bytes(policy.gradients),
        "optimizer": states * _bytes(policy.optimizer_state),
    }


def memory(network: Network, policy: Policy, states: int, batch: int) -> dict[str, int]:
    """Return the bytes that a training step keeps, by class of tensor.

    Parameters
    ----------
    network : Network
        Its layers.
    policy : Policy
        What is stored.
    states : int
        Numbers that the optimizer remembers per parameter, as in `STATES`.
    batch : int
        Examples.

    Returns
    -------
    dict of str to int
        Bytes of each of `CLASSES`.

    Raises
    ------
    ValueError
        If `batch` is not positive.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.training.accounting import PAPER, memory
    >>> alexnet = PAPER[0]
    >>> bytes32, bytes16 = (sum(memory(alexnet, named(name), 1, 128).values()) for name in ("binary32", "mixed"))
    >>> round(bytes16 / bytes32, 2)
    0.72
    """
    if batch < 1:
        raise ValueError(f"memory: batch={batch!r} must be a positive number of examples")
    each = bytes_per_parameter(policy, states)
    numbers = dict.fromkeys(("weights", "copies", "optimizer"), network.parameters)
    numbers["gradients"] = network.gradients(batch)
    bytes_of = {name: each[name] * numbers[name] for name in each}
    numbers_of_an_example = network.activations * _bytes(policy.activations)
    exponentials = network.exponentials * _bytes(policy.reduction("softmax").format)
    return {**bytes_of, "activations": batch * (numbers_of_an_example + exponentials + network.others)}


def _bytes(format: Format) -> int:
    return format.width // 8
