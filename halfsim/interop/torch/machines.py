"""The machines of a simulation: one for every policy, and one for its bfloat16 tensors."""

from __future__ import annotations

import torch

from halfsim.accumulators import FP32
from halfsim.formats import BFLOAT16, BINARY16, BINARY32
from halfsim.interop.torch.bfloat16 import BFloat16Machine
from halfsim.interop.torch.machine import TensorMachine
from halfsim.interop.torch.report import Report
from halfsim.interop.torch.tally import Tally
from halfsim.policy import Policy

__all__ = ["KINDS", "Machines", "kind_of_wide"]

KINDS = {torch.float16: "binary16", torch.bfloat16: "bfloat16"}
"""Kinds of machines that round to what tensors of a narrow type hold."""

_BRAINS = "bfloat16", "brain"


def kind_of_wide(policy: Policy, brain: bool) -> str:
    """Return the kind of machine of float32 tensors, some of which hold bfloat16 numbers or none do."""
    return "brain" if brain and BINARY16 in (policy.weights, policy.activations, policy.gradients) else "plain"


class Machines:
    """Makes machines when they are first asked for, each with random words of its own.

    Parameters
    ----------
    report : Report
        Where they count.
    seed : int
        Of whatever rounds stochastically.
    """

    def __init__(self, report: Report, seed: int) -> None:
        self._report, self._seed = report, seed
        self._made: dict[tuple[int, str], tuple[Policy, TensorMachine]] = {}

    def of(self, policy: Policy, kind: str = "plain") -> TensorMachine:
        """Return the machine of a policy.

        Parameters
        ----------
        policy : Policy
            The policy.
        kind : str
            ``"plain"``; ``"bfloat16"`` for tensors of that type; ``"brain"`` for float32 tensors of such numbers;
            ``"master"`` for optimizers and master copies; ``"binary16"`` for what float16 tensors hold although the
            policy stores binary32.
        """
        if kind == "brain" and policy.weights == policy.activations == policy.gradients:
            # All is stored in bfloat16, as in tensors of the type.
            kind = "bfloat16"
        key = id(policy), kind
        if key not in self._made:
            self._made[key] = policy, self._make(policy, kind)
        return self._made[key][1]

    def _make(self, policy: Policy, kind: str) -> TensorMachine:
        stream = len(self._made)
        normal = float((BFLOAT16 if kind in _BRAINS else BINARY16).smallest_normal)
        tally = Tally(self._report, normal)
        if kind in _BRAINS:
            return BFloat16Machine(policy, tally, self._seed, stream, kind == "brain")
        if kind == "master" and policy.optimizer_state == BINARY32:
            policy = policy.stored(BINARY32, policy.name).reducing(BINARY32, policy.name)
        elif kind == "master" and policy.weights == BINARY32:
            policy = policy.stored(BINARY16, policy.name)
        elif kind == "binary16":
            policy = policy.stored(BINARY16, policy.name).accumulating(FP32, policy.name)
        return TensorMachine(policy, tally, self._seed, stream)
