"""The mode of PyTorch that sees every operator and decides who computes it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode

from halfsim.formats import BINARY16
from halfsim.interop.torch.call import Call
from halfsim.interop.torch.facts import COPIES, Facts, facts_of, layer_facts
from halfsim.interop.torch.linear import LINEAR, Layers, as_product
from halfsim.interop.torch.machines import KINDS, Machines
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
    holds_wide,
    is_filled,
    makes_special,
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
_NOTHING = nullcontext()


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
        floats = [x for x in found if x.dtype in INEXACT]
        self._marks.weigh(floats)
        whole = func is LINEAR and len(floats) == len(args) and args[0].ndim == args[1].ndim == 2
        facts = layer_facts(len(args)) if whole else facts_of(func)
        space, full, name, _, view, _, parts, direct, _ = facts
        if floats and traced():
            refuse_traced(name)
        if view:
            return func(*args, **kwargs)
        if forward_ad._current_level >= 0 and floats and all(x.device.type == "meta" for x in floats):
            # Derivatives along a direction ask for shapes alone.
            return func(*args, **kwargs)
        if name not in COPIES:
            for tensor in floats:
                check(name, tensor)
        if direct and floats:
            return self._computed(func, facts, args, kwargs, floats)
        copies = name in COPIES and not narrows(name, args, kwargs)
        if space in _OTHERS or copies or (space == "aten" and exact(name, func._schema.overload_name, args, floats)):
            moves = floats or name in CONSTANTS or any(x.is_quantized for x in found)
            return self._moved(func, name, args, kwargs, floats) if moves else func(*args, **kwargs)
        if space != "aten" and floats:
            return self._left(func, f"{space}::{full}", "not PyTorch's own", args, kwargs)
        if name in RANDOM and (floats or name in _DRAWN):
            return self._left(func, name, "random numbers are PyTorch's own", args, kwargs)
        if parts or (full.startswith(FOREACH) and splits(full)):
            with self:  # parts are what PyTorch takes apart before, but under `torch.inference_mode`
                return composed(func, args, kwargs) if parts else each(full, args, kwargs)
        if not floats:
            # Whole numbers are exact, but a quotient of them, say, is none.
            result = func(*args, **kwargs)
            made = tensors_in([result])
            if makes(name, args) or not any(x.dtype in INEXACT or x.is_quantized for x in made):
                return result
            if name not in HANDLERS or space != "aten" or any(x.is_quantized for x in found):
                self._list(name if space == "aten" else f"{space}::{full}", "no arithmetic is known for it")
                return result
        return self._computed(func, facts, args, kwargs, floats)

    def _moved(self, func: Any, name: str, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> Any:
        """Let PyTorch move or select numbers, and follow the marks."""
        kept = bool(self._marks.of(args[0]) & _KEPT) if name in CONSTANTS and func._schema.is_mutable else False
        reason = rounded(func, name, args, kwargs, floats)
        if name == "zero" and func._schema.is_mutable:
            result = func(*args, **kwargs)
            self._marks.narrow(args[0])
            return result
        sources = floats[1:] if name == "copy" and fills(args[0]) else floats
        mark, others = 0, []
        # Beside elements, a tensor without dimensions is a number that a selection puts among them, and rounded.
        numbers = name in CONSTANTS and any(tensor.ndim for tensor in floats)
        for tensor in sources:
            found = self._marks.of(tensor) if tensor.ndim or not numbers else 0
            if not found & Mark.wide:
                others.append(tensor)
            # A master copy is rounded where it is used.
            mark |= 0 if found & Mark.weight and name not in COPIES else found
        if mark & Mark.wide and others:
            self._beside(name, others)
        elif len(sources) < len(floats) and not mark & Mark.wide:
            self._marks.narrow(args[0])
        result = self._left(func, name, reason, args, kwargs) if reason else func(*args, **kwargs)
        if name in CONSTANTS and not kept and not mark & Mark.wide:
            self._settle(func, name, args, kwargs, result)
        phase = self._modules.phase() if self._mixed else ""
        if phase == FORWARD:
            mark |= Mark.activation
        if mark:
            for tensor in tensors_in(result):
                self._marks.add(tensor, mark)
        return result

    def _beside(self, name: str, others: list[torch.Tensor]) -> None:
        """Note that a memory holds wide numbers and others, which hence are not rounded where they are used."""
        _, module = self._modules.at_work()
        policy = self._rules.policy(name, module)
        if policy is not None and policy.activations == BINARY16 and any(map(holds_wide, others)):
            note = (
                f"{name} in {module or 'no module'}: a memory holds numbers wider than the policy stores, such as a "
                "loss, beside others, and all of it counts as wide: round the others first, as .half().float() does"
            )
            self._report.notes += [note] * (note not in self._report.notes)

    def _settle(self, func: Any, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Round and count a result among whose elements there may be a number of the caller that its format lacks."""
        if result.dtype not in (FLOATS if result.ndim else NARROW) or holds(func, args, kwargs, result.dtype):
            return
        phase, module = self._modules.at_work()
        policy = self._rules.policy(name, module)
        wide = selected_wide(func, args, kwargs, result)
        if policy is None or phase == OPTIMIZER or wide is None:
            return
        machine = self._machines.of(policy, KINDS.get(result.dtype, "plain"))
        storage = machine.gradients if phase == BACKWARD else machine.activations
        stored = storage.convert(wide)
        machine.ledger.count(module, "constant", wide, stored)
        if self._report.first is None and bool((np.isinf(stored) & np.isfinite(wide)).any()):
            self._first(name, phase)
        result.copy_(tensor_of(stored, result.dtype))

    def _computed(self, func: Any, facts: Facts, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> Any:
        name, changes, handler = facts.name, facts.changes, facts.handler
        phase, module = self._modules.at_work()
        policy = self._rules.policy(name, module)
        if policy is None:
            return self._left(func, name, "left to PyTorch by a rule", args, kwargs)
        if not facts.direct and name in COPIES:
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
                return self._left(func, name, "a number is complex", args, kwargs)
            dtypes = {x.dtype for x in floats} | (set() if handler is None else asked(func, args, kwargs))
            if not dtypes <= FLOATS:
                types = ", ".join(sorted(str(x).removeprefix("torch.") for x in dtypes - FLOATS))
                return self._left(func, name, f"numbers are {types}", args, kwargs)
            if name.startswith(WHOLE):
                return self._left(func, name, "places between elements are not rounded", args, kwargs)
            if handler is None:
                return self._taken_apart(func, name, args, kwargs, floats)
            dtype = self._accepted.check(kind, func, args, kwargs, floats)
        kept = isinstance(target, torch.Tensor) and phase != BACKWARD and bool(self._marks.of(target) & _KEPT)
        call = Call(self._machines, self._marks, policy, phase, module, dtype, phase == OPTIMIZER or kept)
        given = {key: value for key, value in kwargs.items() if key != "out"} if "out" in kwargs else kwargs
        try:  # an infinity or a NaN is a result like others, and noted
            with _NOTHING if facts.quiet else np.errstate(all="ignore"):
                result = handler(call, *args, **given)
        except (IndexError, ValueError):
            self._accepted.refuse(func, args, kwargs)
            raise
        if result is NotImplemented:
            return self._left(func, name, "no arithmetic is known for it with such settings", args, kwargs)
        self._report.simulated[name] += 1
        if isinstance(written, torch.Tensor) and written.dtype in NARROW and result.dtype != written.dtype:
            result = call.narrowed(result, written.dtype)
        ledger = call.machine.ledger
        if ledger.special:
            ledger.special = False
            self._note(name, result, floats if func is not LINEAR else list(as_product(args)[1]), call.hidden)
        if self._mixed and phase == FORWARD:
            for tensor in (*floats, *tensors_in(result)):
                self._marks.add(tensor, Mark.activation)
        if written is None:
            return result
        if written is not target and isinstance(out, torch.Tensor):
            if out.shape != result.shape:
                out.resize_(result.shape)
            if self._marks.of(result) & ~self._marks.of(out) & Mark.wide and not fills(out):
                self._beside(name, [out])
        write(written, result)
        if self._marks.of(result) & Mark.wide:
            self._marks.add(written, Mark.wide)
        return written

    def _taken_apart(self, func: Any, name: str, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> Any:
        """Compute PyTorch's own expression of an operator in others."""
        pieces = decomposition(func)
        dtype = None if pieces is None else self._accepted.check_parts(func, args, kwargs, floats)
        with self:
            result = NotImplemented if pieces is None else pieces(*args, **kwargs)
            if dtype is not None and isinstance(result, torch.Tensor):
                result = result.to(dtype)
        known = result is not NotImplemented
        return result if known else self._left(func, name, "no arithmetic is known for it", args, kwargs)

    def _left(self, func: Any, name: str, reason: str, args: Any, kwargs: Any) -> Any:
        """Let PyTorch compute, and say so."""
        self._list(name, reason)
        if func is LINEAR:
            func, args = as_product(args)
        floats = [x for x in tensors_in([args, kwargs]) if x.dtype in FLOATS]
        if self._report.first is not None:
            return func(*args, **kwargs)
        before = [x.clone() for x in floats] if func._schema.is_mutable else floats
        result = func(*args, **kwargs)
        self._note(name, result, before)
        return result

    def _list(self, name: str, reason: str) -> None:
        self._report.not_simulated[name, reason][self._modules.at_work()[1]] += 1

    def _note(self, name: str, result: Any, operands: list[torch.Tensor], hidden: bool = False) -> None:
        """Note the first infinity or NaN that came of finite numbers."""
        if self._report.first is None and (hidden or makes_special(tensors_in([result]), operands)):
            self._first(name, self._modules.phase())

    def _first(self, name: str, phase: str) -> None:
        module, number = self._modules.name(phase), sum(self._report.simulated.values())
        self._report.first = {"module": module, "operator": name, "phase": phase, "call": number}


refuse_functions(Mode)
