"""What training keeps in memory, by policy and batch: tables, each a function of plain arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from halfsim.formats import BINARY16, BINARY32
from halfsim.policy import Policy, named
from halfsim.training.accounting import PAPER, STATES, Network, bytes_per_parameter, memory

__all__ = ["ROWS", "bytes_of_a_parameter", "layers", "nearly_half", "paper_models"]

_BASELINE = named("binary32")

ROWS: tuple[Policy, ...] = (
    _BASELINE,
    named("mixed"),
    replace(named("mixed"), name="mixed, binary32 gradients", gradients=BINARY32),
    named("binary16-stochastic"),
    named("binary16-kahan"),
    replace(named("binary16-pure"), name="binary16-pure, binary16 states", optimizer_state=BINARY16),
)
"""The policies that differ in what they store; the first is what the others are compared with."""

_LARGEST_BATCH = 2**30


def bytes_of_a_parameter(optimizers: Sequence[str] = tuple(STATES)) -> list[dict[str, Any]]:
    """Return the bytes that one parameter takes, by policy.

    Parameters
    ----------
    optimizers : sequence of str
        Some of `halfsim.training.accounting.STATES`.

    Returns
    -------
    list of dict
        ``policy``; ``weights``, ``copies`` and ``gradients``; and for every optimizer the sum with its state.

    Raises
    ------
    ValueError
        If an optimizer is unknown.

    Examples
    --------
    >>> from halfsim.studies.tables.memory import bytes_of_a_parameter
    >>> [row["Adam"] for row in bytes_of_a_parameter()]
    [16, 16, 18, 12, 14, 8]
    """
    rows = []
    for policy in ROWS:
        plain = bytes_per_parameter(policy, 0)
        sums = {name: sum(bytes_per_parameter(policy, _states(name)).values()) for name in optimizers}
        rows.append({"policy": policy.name, **{key: plain[key] for key in ("weights", "copies", "gradients")}, **sums})
    return rows


def layers(network: str) -> list[dict[str, Any]]:
    """Return the layers of a network of the paper.

    Parameters
    ----------
    network : str
        Name of one of `halfsim.training.accounting.PAPER`.

    Returns
    -------
    list of dict
        ``layer``, ``parameters``, ``activations``: numbers kept per example; the last row is the sum.

    Raises
    ------
    ValueError
        If the network is unknown.

    Examples
    --------
    >>> from halfsim.studies.tables.memory import layers
    >>> layers("AlexNet")[-1]
    {'layer': 'all', 'parameters': 60965224, 'activations': 1891371}
    """
    row = _network(network)
    found = [{"layer": x.name, "parameters": x.parameters, "activations": x.activations} for x in row.layers]
    return [*found, {"layer": "all", "parameters": row.parameters, "activations": row.activations}]


def paper_models(batches: Sequence[int] = (1, 8, 32, 128), optimizer: str = "momentum") -> list[dict[str, Any]]:
    """Return the memory of the paper's models by policy and batch, accounted layer by layer.

    Parameters
    ----------
    batches : sequence of int
        Examples per step; the usual batch of every model is added.
    optimizer : str
        One of `halfsim.training.accounting.STATES`.

    Returns
    -------
    list of dict
        ``model``, ``policy``, ``batch``, ``example``; bytes of ``weights``, ``copies``, ``gradients``, ``optimizer``
        and ``activations``, their ``total``, and its ``ratio`` to that of binary32.

    Raises
    ------
    ValueError
        If the optimizer is unknown, or a batch is not positive.

    Examples
    --------
    >>> from halfsim.studies.tables.memory import paper_models
    >>> rows = paper_models(batches=(1,))
    >>> [round(row["ratio"], 2) for row in rows if row["model"] == "ResNet-50" and row["policy"] == "mixed"]
    [0.9, 0.51]
    """
    states = _states(optimizer)
    return [
        {"model": network.name, "policy": policy.name, "batch": batch, "example": network.example}
        | _compared(network, policy, states, batch)
        for network in PAPER
        for batch in sorted({*batches, network.batch})
        for policy in ROWS
    ]


def nearly_half(policy: str = "mixed", share: float = 0.55, optimizer: str = "momentum") -> list[dict[str, Any]]:
    """Return from which batch on a policy takes nearly half of binary32's memory.

    Parameters
    ----------
    policy : str
        Name of a policy.
    share : float
        What "nearly half" means, as a share of binary32's bytes.
    optimizer : str
        One of `halfsim.training.accounting.STATES`.

    Returns
    -------
    list of dict
        ``model``, ``example``, ``parameters``, ``activations``: numbers per example; ``at_1`` and ``usual``: the ratio
        at batch 1 and at the usual batch; ``usual_batch``; ``batch``: the smallest power of two at which the ratio is
        at most `share`, None if none up to 2**30 is.

    Raises
    ------
    ValueError
        If the policy or the optimizer is unknown.

    Examples
    --------
    >>> from halfsim.studies.tables.memory import nearly_half
    >>> {row["model"]: row["batch"] for row in nearly_half()}["ResNet-50"]
    64
    """
    row, states = named(policy), _states(optimizer)

    def ratio(network: Network, batch: int) -> float:
        return float(_compared(network, row, states, batch)["ratio"])

    rows = []
    for network in PAPER:
        powers = (2**i for i in range(_LARGEST_BATCH.bit_length()))
        rows.append(
            {
                "model": network.name,
                "example": network.example,
                "parameters": network.parameters,
                "activations": network.activations,
                "at_1": ratio(network, 1),
                "usual": ratio(network, network.batch),
                "usual_batch": network.batch,
                "batch": next((batch for batch in powers if ratio(network, batch) <= share), None),
            }
        )
    return rows


def _compared(network: Network, policy: Policy, states: int, batch: int) -> dict[str, Any]:
    parts = memory(network, policy, states, batch)
    total = sum(parts.values())
    return {**parts, "total": total, "ratio": total / sum(memory(network, _BASELINE, states, batch).values())}


def _states(optimizer: str) -> int:
    if optimizer not in STATES:
        raise ValueError(f"memory: optimizer={optimizer!r} is unknown; known are {', '.join(STATES)}")
    return STATES[optimizer]


def _network(name: str) -> Network:
    for network in PAPER:
        if network.name == name:
            return network
    raise ValueError(f"layers: network={name!r} is unknown; known are {', '.join(network.name for network in PAPER)}")
