"""What the report of a simulation says of operators: those PyTorch computed, and the first that made an infinity."""

from __future__ import annotations

from typing import Any

import torch

from halfsim.formats import BINARY16
from halfsim.interop.torch.brains import Brains
from halfsim.interop.torch.linear import LINEAR, as_product
from halfsim.interop.torch.marks import Mark, Marks
from halfsim.interop.torch.modules import BACKWARD, Modules
from halfsim.interop.torch.operators import COMPARISONS, RANDOM, takes_shapes
from halfsim.interop.torch.report import Report
from halfsim.interop.torch.rules import Rules
from halfsim.interop.torch.tensors import FLOATS, INEXACT, NARROW, fills, holds_wide, makes_special, tensors_in

__all__ = ["Journal"]

_PUTS = {"_index_put_impl", "index_copy", "index_put", "masked_scatter", "put", "scatter"}
"""Operators that put numbers into a part of a tensor, also where it fills its memory, unless they add them."""
_PARTS = _PUTS | {"index_add", "index_reduce", "scatter_add", "scatter_reduce"}


class Journal:
    """Writes into a report what is seen of operators while they run.

    Parameters
    ----------
    rules, report, marks, modules : Rules, Report, Marks, Modules
        The policy of every call; what is filled; what is known of tensors; which module is at work.
    """

    def __init__(self, rules: Rules, report: Report, marks: Marks, modules: Modules) -> None:
        self._rules, self._report, self._marks, self._modules = rules, report, marks, modules
        self.brains = Brains(marks, modules)

    def left(self, func: Any, name: str, reason: str, args: Any, kwargs: Any) -> Any:
        """Let PyTorch compute, say so, and follow bfloat16 numbers through it."""
        self.listed(name, reason)
        if func is LINEAR:
            func, args = as_product(args)
        found = [x for x in tensors_in([args, kwargs]) if x.dtype in INEXACT]
        target = kwargs.get("out", args[0] if args else None) if func._schema.is_mutable else None
        # What a result is written to is no operand.
        operands = [x for x in found if x is not target] if "out" in kwargs else found
        brain = self._marks.brains and self.computes_brains(name, args, kwargs, target, operands)
        before = [x for x in found if x.dtype in FLOATS]
        if self._report.first is None and func._schema.is_mutable:
            before = [x.clone() for x in before]
        result = func(*args, **kwargs)
        self.noted(name, result, before)
        if brain:
            self._marks.hold(tensors_in([result]))
        elif self._marks.brains:
            for tensor in tensors_in([target]):
                self._marks.forget(tensor, Mark.brain)
        return result

    def listed(self, name: str, reason: str) -> None:
        """List an operator that is not simulated."""
        self._report.not_simulated[name, reason][self._modules.at_work()[1]] += 1

    def noted(self, name: str, result: Any, operands: list[torch.Tensor], hidden: bool = False) -> None:
        """Note the first infinity or NaN that came of finite numbers."""
        if self._report.first is None and (hidden or makes_special(tensors_in([result]), operands)):
            self.first(name, self._modules.phase())

    def first(self, name: str, phase: str) -> None:
        """Note an operator as the first that made an infinity or a NaN, unless there is one."""
        if self._report.first is None:
            module, number = self._modules.name(phase), sum(self._report.simulated.values())
            self._report.first = {"module": module, "operator": name, "phase": phase, "call": number}

    def beside(self, name: str, others: list[torch.Tensor]) -> None:
        """Note that a memory holds wide numbers and others, which hence are not rounded where they are used."""
        if name in COMPARISONS:
            return
        _, module = self._modules.at_work()
        policy = self._rules.policy(name, module)
        if policy is not None and policy.activations == BINARY16 and any(map(holds_wide, others)):
            self._say(
                f"{name} in {module or 'no module'}: a memory holds numbers wider than the policy stores, such as a "
                "loss, beside others, and all of it counts as wide: round the others first, as .half().float() does"
            )

    def computes_brains(self, name: str, args: Any, kwargs: Any, target: Any, operands: list[torch.Tensor]) -> bool:
        """Whether an operator, that may change a target in place, rounds to bfloat16, and hence its gradient."""
        brain = name not in RANDOM and self.brains.among(name, _used(name, args, kwargs, target, operands))
        target = target if isinstance(target, torch.Tensor) and target.dtype in INEXACT else None
        if target is not None and (name in _PARTS or not fills(target)):
            brain = self.part(name, target, brain)
        brain = brain or (target is not None and target.dtype is torch.bfloat16)
        return self.brains.record(brain, target)

    def moves_brains(
        self, func: Any, name: str, args: Any, kwargs: Any, sources: list[torch.Tensor], floats: list[torch.Tensor]
    ) -> bool:
        """Whether what is moved or selected is bfloat16 numbers, where it comes to lie.

        Parameters
        ----------
        func, name, args, kwargs : operator, str, tuple, dict
            The call.
        sources, floats : lists of tensors
            Those whose numbers stay, and all of fractions.
        """
        changes, anew, out = func._schema.is_mutable, len(sources) < len(floats), kwargs.get("out")
        if changes and name in ("fill", "_foreach_zero"):
            for tensor in tensors_in(args[:1]):
                self._marks.forget(tensor, Mark.brain)
        target = args[0] if out is None and args else out
        if isinstance(out, torch.Tensor) and not any(x is out for x in tensors_in(args)):
            sources = [x for x in sources if x is not out]
            if not sources:
                self._marks.forget(out, Mark.numbers)
        if takes_shapes(name) or not sources:
            return False
        if not changes or not isinstance(target, torch.Tensor):
            return self.brains.record(self.brains.among(name, sources))
        brain = self.brains.among(name, _used(name, args, kwargs, target, sources))
        if not anew and (not fills(target) or (out is None and name in _PARTS)):
            brain = self.part(name, target, brain)
        return self.brains.record(brain, target)

    def part(self, name: str, target: torch.Tensor, brain: bool) -> bool:
        """Whether a memory holds bfloat16 numbers where a part is written to; note numbers that its others are not."""
        held = self._marks.brain([target])
        if self._modules.phase() == BACKWARD:
            known = self.brains.recorded(name, [target])
            return brain if known is not None else brain or held
        if brain == held or target.dtype in NARROW:
            return brain or held
        _, module = self._modules.at_work()
        policy = self._rules.policy(name, module)
        if policy is not None and policy.activations == BINARY16:
            one, other = ("bfloat16 numbers", "the policy's") if brain else ("numbers", "bfloat16")
            self._say(
                f"{name} in {module or 'no module'}: {one} are written into a part of a float32 tensor whose other "
                f"numbers are {other}, and count as those where they are used: keep them in tensors of their own"
            )
        return held

    def _say(self, note: str) -> None:
        self._report.notes += [note] * (note not in self._report.notes)


def _used(name: str, args: Any, kwargs: Any, target: Any, operands: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the operands whose numbers an operator writes: where it puts them, nothing is left of what was there."""
    adds = any(x is True or isinstance(x, str) for x in (*args[3:], *kwargs.values()))
    puts = name == "copy" or (name in _PUTS and not adds)
    return [x for x in operands if x is not target] or operands if puts else operands
