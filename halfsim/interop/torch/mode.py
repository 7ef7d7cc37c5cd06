"""The mode of PyTorch that sees every operator and decides who computes it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

from halfsim.interop.torch.autocast import Autocast
from halfsim.interop.torch.call import Call
from halfsim.interop.torch.facts import COPIES, Facts, facts_of, layer_facts
from halfsim.interop.torch.journal import Journal
from halfsim.interop.torch.linear import LINEAR, Layers, as_product
from halfsim.interop.torch.machines import KINDS, Machines, kind_of_wide
from halfsim.interop.torch.marks import Mark, Marks
from halfsim.interop.torch.modules import BACKWARD, FORWARD, OPTIMIZER, Modules
from halfsim.interop.torch.operators import (
    CONSTANTS,
    FOREACH,
    HANDLERS,
    RANDOM,
    WHOLE,
    composed,
    decomposition,
    each,
    exact,
    holds,
    makes,
    narrows,
    rounded,
    selected_wide,
    splits,
)
from halfsim.interop.torch.refusals import ACCEPTED, asked, kind_of, refuse_functions, refuse_traced, traced
from halfsim.interop.torch.report import Report
from halfsim.interop.torch.rules import Rules
from halfsim.interop.torch.tensors import (
    FLOATS,
    INEXACT,
    NARROW,
    check,
    fills,
    is_filled,
    tensor_of,
    tensors_in,
    write,
)

__all__ = ["Mode"]

_OTHERS = {"halfsim", "prim", "profiler"}
"""Namespaces whose operators compute nothing, or are simulated themselves."""
_DRAWN = {"normal", "rand", "randn"}
"""Without operands, these make fractions."""
_FILL, _COPY = torch.ops.aten.fill_.Tensor, torch.ops.aten.copy_.default
_KEPT = Mark.weight | Mark.wide
_NOTHING, _sequence = nullcontext(), torch._C._autograd._get_sequence_nr


class Mode(TorchDispatchMode):
    """The mode.

    Parameters
    ----------
    rules, report, marks, modules : Rules, Report, Marks, Modules
        The policy of every call; what is filled; what is known of tensors; which module is at work.
    seed : int
        Of whatever rounds stochastically.
    """

    def __init__(self, rules: Rules, report: Report, marks: Marks, modules: Modules, seed: int) -> None:
        super().__init__()
        self._rules, self._report, self._marks, self._modules = rules, report, marks, modules
        self._machines, self._accepted = Machines(report, seed), ACCEPTED
        self._journal, self._autocast = Journal(rules, report, marks, modules), Autocast()
        self._seen = _sequence()  # the number of the next node of autograd when an operator was last seen
        self._fractions: dict[torch.dtype, bool] = {}  # which types are, of those that were met
        modules.layer = Layers(self, marks)
        # In the backward pass, only where their formats differ need activations and gradients be told apart.
        self._mixed = any(policy.activations != policy.gradients for policy in rules.policies)

    # Inside of `simulate` nothing is compiled, so that PyTorch's guard of every call would only take time.
    _should_skip_dynamo = classmethod(lambda cls: False)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if types:
            if FakeTensor in types:
                # It has a shape, and no numbers.
                return func(*args, **(kwargs or {}))
            if any(kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__ for kind in types):
                # Its own dispatch takes the tensor apart, and what it calls comes here.
                return NotImplemented
        kwargs = kwargs or {}
        if func is _FILL and is_filled(args[0], kwargs.get("value", args[-1])):
            # With a tensor it is a copy, which may round.
            func, args, kwargs = _COPY, (args[0], self._marks.apart(kwargs.get("value", args[-1]), args[0])), {}
        found = tensors_in(args) + tensors_in(kwargs) if kwargs else tensors_in(args)
        fractions = self._fractions
        try:
            floats = [x for x in found if fractions[x.dtype]]
        except KeyError:
            floats = self._met(found)
        self._seen = _sequence()
        self._marks.weigh(floats)
        whole = func is LINEAR and len(floats) == len(args) and args[0].ndim == args[1].ndim == 2
        facts = layer_facts(len(args)) if whole else facts_of(func)
        space, full, name, _, view, _, parts, direct, _ = facts
        if floats and traced():
            refuse_traced(name)
        if view:
            if self._marks.brains:
                self._journal.brains.viewed(floats)
            return func(*args, **kwargs)
        if name not in COPIES:
            try:
                for tensor in floats:
                    check(name, tensor)
            except ValueError:
                if not all(x.is_meta for x in floats):
                    raise
                # PyTorch itself asks for shapes alone, as beside zeros that it does not write down.
                return func(*args, **kwargs)
        if direct and floats:
            return self._computed(func, facts, args, kwargs, floats)
        copies = name in COPIES and not narrows(name, args, kwargs)
        if space in _OTHERS or copies or (space == "aten" and exact(name, func._schema.overload_name, args, floats)):
            moves = floats or name in CONSTANTS or any(x.is_quantized for x in found)
            return self._moved(func, name, args, kwargs, floats) if moves else func(*args, **kwargs)
        if space != "aten" and floats:
            return self._journal.left(func, f"{space}::{full}", "not PyTorch's own", args, kwargs)
        if name in RANDOM and (floats or name in _DRAWN):
            return self._journal.left(func, name, "random numbers are PyTorch's own", args, kwargs)
        if parts or (full.startswith(FOREACH) and splits(full)):
            with self, self._autocast.parts(func):  # PyTorch takes it apart before, but under `torch.inference_mode`
                return composed(func, args, kwargs) if parts else each(full, args, kwargs)
        if not floats:
            # Whole numbers are exact, but a quotient of them, say, is none.
            result = func(*args, **kwargs)
            made = tensors_in([result])
            if makes(name, args) or not any(x.dtype in INEXACT or x.is_quantized for x in made):
                return result
            if name not in HANDLERS or space != "aten" or any(x.is_quantized for x in found):
                self._journal.listed(name if space == "aten" else f"{space}::{full}", "no arithmetic is known for it")
                return result
        return self._computed(func, facts, args, kwargs, floats)

    def _met(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Note which types there are, so that bfloat16 takes time only where it is; return the tensors of fractions."""
        self._fractions.update({x.dtype: x.dtype in INEXACT for x in tensors})
        if torch.bfloat16 in self._fractions and not self._marks.brains:
            self._journal.brains.begin(self._seen, tensors)
        return [x for x in tensors if self._fractions[x.dtype]]

    def _moved(self, func: Any, name: str, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> Any:
        """Let PyTorch move or select numbers, and follow the marks."""
        kept = bool(self._marks.of(args[0]) & _KEPT) if name in CONSTANTS and func._schema.is_mutable else False
        reason = rounded(func, name, args, kwargs, floats)
        if name == "zero" and func._schema.is_mutable:
            result = func(*args, **kwargs)
            self._marks.forget(args[0], Mark.numbers)
            return result
        sources = floats[1:] if name == "copy" and fills(args[0]) else floats
        mark, others = 0, []
        # Beside elements, a tensor without dimensions is a number that a selection puts among them, and rounded.
        numbers = name in CONSTANTS and any(tensor.ndim for tensor in floats)
        brain = self._marks.brains and self._journal.moves_brains(func, name, args, kwargs, sources, floats)
        for tensor in sources:
            found = self._marks.of(tensor) if tensor.ndim or not numbers else 0
            if not found & Mark.wide:
                others.append(tensor)
            # A master copy is rounded where it is used.
            mark |= 0 if found & Mark.weight and name not in COPIES else found
        mark &= Mark.moved
        if mark & Mark.wide and others:
            self._journal.beside(name, [x for x in others if not brain or not self._marks.brain([x])])
        elif len(sources) < len(floats):
            self._marks.forget(args[0], Mark.numbers & ~(mark | brain * Mark.brain))
        result = self._journal.left(func, name, reason, args, kwargs) if reason else func(*args, **kwargs)
        if brain:
            self._marks.hold(tensors_in(result))
        if name in CONSTANTS and not kept and not mark & Mark.wide:
            self._settle(func, name, args, kwargs, result, brain)
        phase = self._modules.phase() if self._mixed else ""
        if phase == FORWARD:
            mark |= Mark.activation
        if mark:
            for tensor in tensors_in(result):
                self._marks.add(tensor, mark)
        return result

    def _settle(self, func: Any, name: str, args: Any, kwargs: Any, result: Any, brain: bool) -> None:
        """Round and count a result among whose elements there may be a number of the caller that its format lacks."""
        held = torch.bfloat16 if brain else result.dtype
        if result.dtype not in (FLOATS if result.ndim else NARROW) or holds(func, args, kwargs, held):
            return
        phase, module = self._modules.at_work()
        policy = self._rules.policy(name, module)
        wide = selected_wide(func, args, kwargs, result)
        if policy is None or phase == OPTIMIZER or wide is None:
            return
        machine = self._machines.of(policy, KINDS.get(result.dtype) or kind_of_wide(policy, brain))
        storage = machine.gradients if phase == BACKWARD else machine.activations
        stored = storage.convert(wide)
        machine.ledger.count(module, "constant", wide, stored)
        if bool((np.isinf(stored) & np.isfinite(wide)).any()):
            self._journal.first(name, phase)
        result.copy_(tensor_of(stored, result.dtype))

    def _computed(self, func: Any, facts: Facts, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> Any:
        name, changes, handler = facts.name, facts.changes, facts.handler
        phase, module = self._modules.at_work()
        policy = self._rules.policy(name, module)
        if policy is None:
            return self._journal.left(func, name, "left to PyTorch by a rule", args, kwargs)
        if not facts.direct and name in COPIES:
            if floats and all(x.is_meta for x in floats):
                return func(*args, **kwargs)
            for tensor in floats:
                check(name, tensor)
        target, out = args[0] if changes else None, kwargs.get("out")
        written = target if isinstance(target, torch.Tensor) else out
        if written is not None:
            self._accepted.check_memory(written, func, args, kwargs, floats)
        kind = None if handler is None else kind_of(func, args, kwargs, floats)
        dtype = self._accepted.dtype(kind)
        if dtype is None or handler is None:
            if any(isinstance(x, complex) for x in (*args, *kwargs.values())):
                return self._journal.left(func, name, "a number is complex", args, kwargs)
            dtypes = {x.dtype for x in floats} | (set() if handler is None else asked(func, args, kwargs))
            if not dtypes <= FLOATS:
                types = ", ".join(sorted(str(x).removeprefix("torch.") for x in dtypes - FLOATS))
                return self._journal.left(func, name, f"numbers are {types}", args, kwargs)
            if name.startswith(WHOLE):
                return self._journal.left(func, name, "places between elements are not rounded", args, kwargs)
            if handler is None:
                return self._taken_apart(func, name, target, args, kwargs, floats)
            dtype = self._accepted.check(kind, func, args, kwargs, floats)
        kept = isinstance(target, torch.Tensor) and phase != BACKWARD and bool(self._marks.of(target) & _KEPT)
        given = {key: value for key, value in kwargs.items() if key != "out"} if "out" in kwargs else kwargs
        # What a result is written to is no operand.
        operands = floats if out is None else tensors_in([args, given])
        brain = self._marks.brains and self._journal.computes_brains(name, args, given, target, operands)
        call = Call(self._machines, self._marks, policy, phase, module, dtype, phase == OPTIMIZER or kept, brain)
        try:  # an infinity or a NaN is a result like others, and noted
            with _NOTHING if facts.quiet else np.errstate(all="ignore"):
                result = handler(call, *args, **given)
        except (IndexError, ValueError):
            self._accepted.refuse(func, args, kwargs)
            raise
        if result is NotImplemented:
            return self._journal.left(func, name, "no arithmetic is known for it with such settings", args, kwargs)
        self._report.simulated[name] += 1
        if isinstance(written, torch.Tensor) and written.dtype in NARROW and result.dtype != written.dtype:
            result = call.narrowed(result, written.dtype)
        ledger = call.machine.ledger
        if ledger.special:
            ledger.special = False
            self._journal.noted(name, result, floats if func is not LINEAR else list(as_product(args)[1]), call.hidden)
        if self._mixed and phase == FORWARD:
            for tensor in (*floats, *tensors_in(result)):
                self._marks.add(tensor, Mark.activation)
        if written is None:
            if brain:
                self._marks.hold(tensors_in(result))
            return result
        if self._marks.brains and not fills(written):
            brain = self._journal.part(name, written, brain)
        if self._marks.brains:
            self._marks.settle(written, brain)
        if written is not target and isinstance(out, torch.Tensor):
            if out.shape != result.shape:
                out.resize_(result.shape)
            if self._marks.of(result) & ~self._marks.of(out) & Mark.wide and not fills(out):
                self._journal.beside(name, [out])
        write(written, result)
        if self._marks.of(result) & Mark.wide:
            self._marks.add(written, Mark.wide)
        return written

    def _taken_apart(self, func: Any, name: str, target: Any, args: Any, kwargs: Any, floats: list[Any]) -> Any:
        """Compute PyTorch's own expression of an operator in others."""
        pieces = decomposition(func)
        dtype = None if pieces is None else self._accepted.check_parts(func, args, kwargs, floats)
        brain = self._marks.brains and self._journal.computes_brains(name, args, kwargs, target, floats)
        with self, self._autocast.parts(func):
            result = NotImplemented if pieces is None else pieces(*args, **kwargs)
            if dtype is not None and isinstance(result, torch.Tensor):
                result = result.to(dtype)
        if result is NotImplemented:
            return self._journal.left(func, name, "no arithmetic is known for it", args, kwargs)
        if self._marks.brains and not brain and isinstance(target, torch.Tensor):
            self._marks.forget(target, Mark.brain)
        return result


refuse_functions(Mode)
