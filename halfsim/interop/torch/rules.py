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

_PUBLIC = {
    "linear": "addmm mm",
    "matmul": "mm bmm mv dot",
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d": "convolution convolution_backward",
    "softmax": "_softmax _safe_softmax _softmax_backward_data",
    "log_softmax": "_log_softmax _log_softmax_backward_data",
    "layer_norm": "native_layer_norm native_layer_norm_backward",
    "group_norm": "native_group_norm native_group_norm_backward",
    "batch_norm": "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "cudnn_batch_norm native_batch_norm_backward",
    "nll_loss": "nll_loss_forward nll_loss2d_forward nll_loss_backward nll_loss2d_backward",
}
_ALIASES: dict[str, tuple[str, ...]] = {}
for _publics, _operators in _PUBLIC.items():
    for _name in _operators.split():
        _ALIASES[_name] = (*_ALIASES.get(_name, ()), *_publics.split())


def as_policy(policy: PolicyLike, function: str = "simulate", argument: str = "policy", others: str = "") -> Policy:
    """Return a policy, the one of a name, or ``"mixed"`` with the accumulator of a name such as ``"h100:f16"``."""
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, str):
        raise TypeError(
            f"{function}: {argument}={policy!r} is a {type(policy).__name__}; pass a halfsim.policy.Policy, the name "
            f"of one such as 'mixed', or of a GPU's accumulator such as 'h100:f32'{others}"
        )
    place = "" if argument == "policy" else f"{argument}: "
    try:
        return named("mixed").accumulating(policy, policy) if ":" in policy else named(policy)
    except ValueError as error:
        cause = str(error).removeprefix("named: ").removeprefix("Policy: ")
        raise ValueError(
            f"{function}: {place}{cause}; a GPU's accumulator has its output after a colon, as 'h100:f16', and sums of "
            f"no GPU are named('mixed').accumulating('fp16', 'a name') of halfsim.policy{others}"
        ) from None


class Rules:
    """The policy of every call.

    Parameters
    ----------
    policy : Policy
        Where nothing else is said.
    operators, modules : mapping of str to policy
        Patterns of operators' names, as ``"softmax"`` or ``"*_loss*"``, and of modules' paths, as
        ``"encoder.layers.*"``; a module is in all that it is a part of. The first that fits holds, operators first.
        An operator has the name that PyTorch's dispatcher sees, such as ``"addmm"``, and those of the functions that
        make it, such as ``"linear"``.
    """

    def __init__(self, policy: Policy, operators: Mapping[str, PolicyLike], modules: Mapping[str, PolicyLike]) -> None:
        self._policy = policy
        self._operators, self._modules = _read("operators", operators), _read("modules", modules)
        self._used: set[tuple[str, str]] = set()
        self._known: dict[tuple[str, str], Policy | None] = {}

    @property
    def policies(self) -> list[Policy]:
        """All policies that a call may have."""
        found = [self._policy, *(policy for _, policy in (*self._operators, *self._modules))]
        return [policy for policy in found if policy is not None]

    def policy(self, operator: str, module: str) -> Policy | None:
        """Return the policy of an operator in a module; None leaves it to PyTorch."""
        key = operator, module
        try:
            return self._known[key]
        except KeyError:
            found = self._known[key] = self._find(operator, module)
            return found

    def _find(self, operator: str, module: str) -> Policy | None:
        for pattern, policy in self._operators:
            if any(fnmatchcase(name, pattern) for name in (operator, *_ALIASES.get(operator, ()))):
                self._used.add(("operators", pattern))
                return policy
        parts = module.split(".")
        paths = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        for pattern, policy in self._modules:
            if any(fnmatchcase(path, pattern) for path in paths):
                self._used.add(("modules", pattern))
                return policy
        return self._policy

    def unused(self) -> list[str]:
        """Return a sentence for every pattern that fitted no call."""
        patterns = [("operators", x) for x, _ in self._operators] + [("modules", x) for x, _ in self._modules]
        return [
            f"{argument}: pattern {pattern!r} held for no simulated call; `simulated` has the names of operators, "
            "`modules` the paths"
            for argument, pattern in patterns
            if (argument, pattern) not in self._used
        ]


def _read(argument: str, rules: Mapping[str, PolicyLike]) -> list[tuple[str, Policy | None]]:
    if not isinstance(rules, Mapping):
        raise TypeError(
            f"simulate: {argument}={rules!r} is a {type(rules).__name__}; pass a dict of patterns to policies, as "
            "{'*softmax*': 'torch'}"
        )
    keys: list[object] = list(rules)
    for pattern in keys:
        if not isinstance(pattern, str):
            kind = type(pattern).__name__
            raise TypeError(f"simulate: {argument} has the key {pattern!r}, a {kind}; pass patterns as text")
    others = f"; {LEFT!r} leaves them to PyTorch"
    return [
        (pattern, None if policy == LEFT else as_policy(policy, argument=f"{argument}[{pattern!r}]", others=others))
        for pattern, policy in rules.items()
    ]
