"""`simulate`: a mode of PyTorch under which operators on floating-point numbers are computed as a policy says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from halfsim.checks import integer
from halfsim.interop.torch.call import Call
from halfsim.interop.torch.machines import Machines
from halfsim.interop.torch.marks import Mark, Marks
from halfsim.interop.torch.modules import BACKWARD, FORWARD, OPTIMIZER, Modules
from halfsim.interop.torch.operators import EXACT, FOREACH, HANDLERS, decomposition, each
from halfsim.interop.torch.report import Report
from halfsim.interop.torch.rules import PolicyLike, Rules, as_policy
from halfsim.interop.torch.tensors import FLOATS, check, tensors_in

__all__ = ["simulate"]

_NONE: Mapping[str, PolicyLike] = {}
_OTHERS = {"halfsim", "prim", "profiler"}
"""Namespaces whose operators compute nothing, or are simulated themselves."""
_COPIES = {"_to_copy", "clone", "contiguous", "copy"}


@contextmanager
def simulate(
    policy: PolicyLike,
    *,
    operators: Mapping[str, PolicyLike] = _NONE,
    modules: Mapping[str, PolicyLike] = _NONE,
    count: bool = True,
    seed: int = 0,
) -> Iterator[Report]:
    """Compute what PyTorch does inside in the arithmetic of a policy: forward, backward, and optimizer.

    Products go to `halfsim.matmul` with the policy's accumulators, sums start from a bias; sums, normalisation, softmax
    and losses are computed in the arithmetic of their reductions; elementwise operations round once each; what moves
    numbers or selects among them is exact. Every result is then stored as an activation or a gradient, except that
    losses, logarithms of probabilities, and tensors without dimensions stay in the arithmetic that made them.

    Parameters
    ----------
    policy : Policy or str
        A policy, the name of one, or a GPU's accumulator, ``"h100:f16"``, which stands for ``"mixed"`` with it.
    operators, modules : mapping of str to Policy or str
        Other policies, by patterns of operators' names (``"*softmax*"``) and of modules' paths (``"encoder.*"``); the
        value ``"torch"`` leaves them to PyTorch, and the report lists them. The first pattern that fits holds.
    count : bool
        Whether losses are counted by module. Products whose accumulator delivers binary16 are then computed twice.
    seed : int
        Of stochastic rounding.

    Yields
    ------
    Report
        Filled while the block runs.

    Raises
    ------
    ValueError
        For unknown policies; for tensors elsewhere than in the memory of the processor, and sparse ones; and for
        bfloat16 tensors under a policy that says what they cannot have.
    RuntimeError
        Inside of another `simulate`.

    See Also
    --------
    halfsim.torch.compare : The same model under several policies, layer by layer.

    Notes
    -----
    A float16 tensor holds binary16 numbers, a bfloat16 tensor bfloat16 numbers, and a float32 tensor numbers of the
    policy's format: operands are rounded to it, results are numbers of it. Under a policy with binary16 storage an
    operation with an operand that binary16 does not hold, such as a loss, is one of binary32, rounded once. Parameters
    in float32 are master copies: they are rounded where they are used, and an optimizer moves them in the format of the
    policy's `optimizer_state`. Functions compiled by `torch.compile` run uncompiled.

    Examples
    --------
    >>> import torch, halfsim.torch
    >>> layer = torch.nn.Linear(3, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2048.0, 1.0, 1.0]]))
    >>> with halfsim.torch.simulate("h100:f32") as report:
    ...     y = layer(torch.ones(1, 3))
    >>> y.item(), report.modules["Linear"].inexact
    (2050.0, 0)
    >>> from halfsim.policy import named
    >>> with halfsim.torch.simulate(named("binary16-pure")) as report:
    ...     y = layer(torch.ones(1, 3))
    >>> y.item(), report.modules["Linear"].inexact
    (2048.0, 1)
    """
    rules = Rules(as_policy(policy), operators, modules)
    seed = integer("simulate", "seed", seed, 0, 2**64 - 1)
    if any(isinstance(mode, _Mode) for mode in torch.utils._python_dispatch._get_current_dispatch_mode_stack()):
        raise RuntimeError("simulate: inside of another simulate; end that one first, or give modules their own policy")
    report = Report()
    with ExitStack() as stack:
        # Fused kernels of the processor are one operator each, of which nothing could be simulated.
        stack.enter_context(_switched(torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled))
        stack.enter_context(_switched(torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled))
        stack.enter_context(sdpa_kernel([SDPBackend.MATH]))
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        marks = Marks()
        stack.enter_context(_Mode(rules, report, marks, stack.enter_context(Modules(marks)), count, seed))
        yield report


@cache
def _facts(func: Any) -> tuple[str, str, str, bool, bool]:
    """Return the namespace of an operator, its name with and without the underscore of those in place, and two facts.

    These are whether it changes its first operand, and whether it returns a view.
    """
    space, _, full = func._schema.name.partition("::")
    changes = func._schema.is_mutable and full.endswith("_")
    return space, full, full.removesuffix("_") if changes else full, changes, func.is_view


@contextmanager
def _switched(read: Callable[[], bool], write: Callable[[bool], Any]) -> Iterator[None]:
    """Switch something off, and then back to how it was."""
    before = read()
    write(False)
    try:
        yield
    finally:
        write(before)


class _Mode(TorchDispatchMode):
    def __init__(self, rules: Rules, report: Report, marks: Marks, modules: Modules, counting: bool, seed: int) -> None:
        super().__init__()
        self._rules, self._report, self._marks, self._modules = rules, report, marks, modules
        self._machines = Machines(report, counting, seed)
        # In the backward pass, only where their formats differ need activations and gradients be told apart.
        self._mixed = any(policy.activations != policy.gradients for policy in rules.policies)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        space, full, name, changes, view = _facts(func)
        floats = [x for x in tensors_in([args, kwargs]) if x.is_floating_point() or x.is_complex()]
        for tensor in floats:
            if isinstance(tensor, torch.nn.Parameter):
                self._marks.add(tensor, Mark.weight)
        if view or name in EXACT or space in _OTHERS or (name in _COPIES and not _narrows(name, args, kwargs)):
            return self._moved(func, name, args, kwargs, floats) if floats else func(*args, **kwargs)
        if space != "aten" and floats:
            phase = self._modules.phase()
            return self._left(func, f"{space}::{full}", self._modules.name(phase), "not PyTorch's own", args, kwargs)
        if full.startswith(FOREACH):
            with self:
                return each(full, args, kwargs)
        if not floats:
            # Whole numbers are exact, but a quotient of them, say, is none.
            result = func(*args, **kwargs)
            if name not in HANDLERS or not any(x.is_floating_point() for x in tensors_in(result)):
                return result
        return self._computed(func, name, changes, args, kwargs, floats)

    def _moved(self, func: Any, name: str, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> Any:
        """Let PyTorch move or select numbers, and follow the marks."""
        result = func(*args, **kwargs)
        if func.is_view:
            return result
        mark = 0
        for tensor in floats:
            mark |= self._marks.of(tensor)
        if name not in _COPIES:
            mark &= ~Mark.weight
        if self._mixed and self._modules.phase() == FORWARD:
            mark |= Mark.activation
        if mark:
            for tensor in tensors_in(result):
                self._marks.add(tensor, mark)
        return result

    def _computed(self, func: Any, name: str, changes: bool, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> Any:
        phase = self._modules.phase()
        module = self._modules.name(phase)
        policy = self._rules.policy(name, module)
        handler = HANDLERS.get(name)
        if policy is None:
            return self._left(func, name, module, "left to PyTorch by a rule", args, kwargs)
        for tensor in floats:
            check(name, tensor)
        foreign = {x.dtype for x in floats} - FLOATS
        if foreign:
            types = ", ".join(sorted(str(x).removeprefix("torch.") for x in foreign))
            return self._left(func, name, module, f"numbers are {types}", args, kwargs)
        if handler is None:
            pieces = decomposition(func)
            if pieces is None:
                return self._left(func, name, module, "no arithmetic is known for it", args, kwargs)
            with self:
                return pieces(*args, **kwargs)
        target = args[0] if changes else None
        wide = Mark.wide | Mark.weight
        kept = isinstance(target, torch.Tensor) and phase != BACKWARD and bool(self._marks.of(target) & wide)
        out = kwargs.get("out")
        call = Call(self._machines, self._marks, policy, phase, module, _widest(floats), phase == OPTIMIZER or kept)
        # An infinity or a NaN is a result like others, and noted.
        with np.errstate(all="ignore"):
            result = handler(call, *args, **{key: value for key, value in kwargs.items() if key != "out"})
        if result is NotImplemented:
            return self._left(func, name, module, "no arithmetic is known for it with such settings", args, kwargs)
        self._report.simulated[name] += 1
        self._note(call, name, module, phase, floats)
        if self._mixed and phase == FORWARD:
            for tensor in (*floats, *tensors_in(result)):
                self._marks.add(tensor, Mark.activation)
        if isinstance(target, torch.Tensor):
            return _written(target, result, self._marks)
        return result if out is None else _written(out, result, self._marks)

    def _left(self, func: Any, name: str, module: str, reason: str, args: Any, kwargs: Any) -> Any:
        """Let PyTorch compute, and say so."""
        self._report.not_simulated[name, reason][module] += 1
        return func(*args, **kwargs)

    def _note(self, call: Call, name: str, module: str, phase: str, floats: list[torch.Tensor]) -> None:
        """Note the first infinity or NaN that came of finite numbers."""
        ledger: Any = call.machine.ledger
        if ledger.special:
            ledger.special = False
            if self._report.first is None and all(bool(torch.isfinite(x).all()) for x in floats):
                number = sum(self._report.simulated.values())
                self._report.first = {"module": module, "operator": name, "phase": phase, "call": number}


def _widest(floats: list[torch.Tensor]) -> torch.dtype:
    """Return the type of a result: that of the tensors with dimensions, or else of those without."""
    shaped = [x for x in floats if x.ndim] or floats
    dtype = shaped[0].dtype if shaped else torch.get_default_dtype()
    for tensor in shaped[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _written(target: torch.Tensor, result: torch.Tensor, marks: Marks) -> torch.Tensor:
    target.copy_(result)
    if marks.of(result) & Mark.wide:
        marks.add(target, Mark.wide)
    return target


def _narrows(name: str, args: Any, kwargs: Any) -> bool:
    """Whether a copy is a rounding to binary16."""
    source, target = (args[1], args[0].dtype) if name == "copy" else (args[0], kwargs.get("dtype"))
    return bool(target == torch.float16 and source.is_floating_point() and source.dtype != torch.float16)
