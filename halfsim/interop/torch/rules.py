"""Which policy an operator or a module has: that of the simulation, another, or none."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TypeAlias

from halfsim.policy import Policy, named

__all__ = ["LEFT", "PolicyLike", "Rules", "as_policy"]

PolicyLike: TypeAlias = Policy | str
LEFT = "torch"
"""What stands for leaving an operator to PyTorch."""


def as_policy(policy: PolicyLike, function: str = "simulate") -> Policy:
    """Return a policy, the one of a name, or ``"mixed"`` with the accumulator of a name such as ``"h100:f16"``."""
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, str):
        raise TypeError(
            f"{function}: policy={policy!r} is a {type(policy).__name__}; pass a halfsim.policy.Policy, the name of "
            "one such as 'mixed', or of a GPU's accumulator such as 'h100:f32'"
        )
    return named("mixed").accumulating(policy, policy) if ":" in policy else named(policy)


class Rules:
    """The policy of every call.

    Parameters
    ----------
    policy : Policy
        Where nothing else is said.
    operators, modules : mapping of str to policy
        Patterns of operators' names, as ``"softmax"`` or ``"*_loss*"``, and of modules' paths, as
        ``"encoder.layers.*"``; a module is in all that it is a part of. The first that fits holds, operators first.
    """

    def __init__(self, policy: Policy, operators: Mapping[str, PolicyLike], modules: Mapping[str, PolicyLike]) -> None:
        self._policy = policy
        self._operators, self._modules = _read(operators), _read(modules)
        self._known: dict[tuple[str, str], Policy | None] = {}

    @property
    def policies(self) -> list[Policy]:
        """All policies that a call may have."""
        found = [self._policy, *(policy for _, policy in (*self._operators, *self._modules))]
        return [policy for policy in found if policy is not None]

    def policy(self, operator: str, module: str) -> Policy | None:
        """Return the policy of an operator in a module; None leaves it to PyTorch."""
        key = operator, module
        if key not in self._known:
            self._known[key] = self._find(operator, module)
        return self._known[key]

    def _find(self, operator: str, module: str) -> Policy | None:
        for pattern, policy in self._operators:
            if fnmatchcase(operator, pattern):
                return policy
        parts = module.split(".")
        paths = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        for pattern, policy in self._modules:
            if any(fnmatchcase(path, pattern) for path in paths):
                return policy
        return self._policy


def _read(rules: Mapping[str, PolicyLike]) -> list[tuple[str, Policy | None]]:
    return [(pattern, None if policy == LEFT else as_policy(policy)) for pattern, policy in rules.items()]
