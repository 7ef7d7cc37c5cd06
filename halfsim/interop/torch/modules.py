"""Which module is at work, in the forward pass and in the backward pass."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from inspect import currentframe
from threading import get_ident
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from halfsim.interop.torch.linear import Envelope, Layers, is_alone
from halfsim.interop.torch.marks import Mark, Marks
from halfsim.interop.torch.nodes import ACCUMULATE, Nodes
from halfsim.interop.torch.report import Report

__all__ = ["BACKWARD", "FORWARD", "OPTIMIZER", "Modules", "paths"]

FORWARD, BACKWARD, OPTIMIZER = "forward", "backward", "optimizer"
_RECOMPUTED = "_recomputation_hook"
"""What keeps what a checkpoint computes again, where it does so while saved tensors are asked for."""
_CHECKPOINT = "CheckpointFunctionBackward"
"""The node of a checkpoint that computes again at once."""
_task = torch._C._current_graph_task_id
_PASSES = {torch.autograd.backward.__code__, torch.autograd.grad.__code__}
_COMPILER, _WRAPPED = "torch._dynamo.eval_frame", "_orig_mod"
"""Where `torch.compile` makes a module, and the name that it gives the caller's in it."""
_ELSEWHERE = "a module called in another thread, where nothing is simulated"


class Modules(ExitStack):
    """Follows the calls of modules, while entered, by PyTorch's global hooks.

    A node of the backward pass belongs to the module that was at work when the forward pass made it. Autograd numbers
    its nodes in the order of their making, so it is enough to note the next number whenever a module starts or ends.

    Parameters
    ----------
    marks : Marks
        Where parameters are marked as weights.
    report : Report
        Where modules are listed that another thread calls.

    Attributes
    ----------
    stepped : bool
        Whether an optimizer made a step.
    layer : Layers or None
        What computes a linear layer that nothing else sees; None leaves it to PyTorch.
    """

    def __init__(self, marks: Marks, report: Report) -> None:
        super().__init__()
        self._marks, self._report = marks, report
        self.stepped = False
        self.layer: Layers | None = None
        self._names: WeakKeyDictionary[torch.nn.Module, str] = WeakKeyDictionary()
        self._owners: dict[int, str] = {}
        self._stack: list[tuple[torch.nn.Module, str, int, FrameType]] = []
        self._nodes = Nodes("")
        self._steps: list[FrameType] = []
        self._thread = get_ident()

    def __enter__(self) -> Modules:
        super().__enter__()
        for handle in (
            register_module_forward_pre_hook(self._begin),
            register_module_forward_hook(self._end, always_call=True),
            register_optimizer_step_pre_hook(self._step),
            register_optimizer_step_post_hook(self._stepped),
        ):
            self.callback(handle.remove)
        self.callback(self._leave)
        return self

    def _leave(self) -> None:
        """Let go of the mode, which would keep itself and what it knows of weights until cycles are collected."""
        self.layer = None

    def at_work(self) -> tuple[str, str]:
        """Return the pass at work, and the path of the module."""
        if self._stack:
            self._settle()
            if not self._steps and self._stack and self._stack[-1][2] == _task() == -1:
                # As the two below find, where nothing but a forward pass is at work.
                return FORWARD, self._stack[-1][1]
        phase = self.phase()
        return phase, self.name(phase)

    def phase(self) -> str:
        """Return which pass is at work; what a node of the backward pass computes again is in the forward one."""
        if self._steps and not torch.is_grad_enabled() and self._stepping():
            return OPTIMIZER
        task = _task()
        backward = task != -1 and not self._called(task) and not (torch.is_grad_enabled() and _recomputes())
        return BACKWARD if backward else FORWARD

    def name(self, phase: str) -> str:
        """Return the path of the module at work, empty outside of all."""
        if phase == OPTIMIZER:
            return ""
        task = _task()
        if phase == BACKWARD:
            return self._owner()
        if self._called(task):
            return self._stack[-1][1]
        # A checkpointed function has the module that called it, and so have the nodes that it makes now.
        name = "" if task == -1 else self._owner()
        self._nodes.note(name, self._nodes.seen)
        return name

    def _called(self, task: int) -> bool:
        """Whether a module is at work that was called in this pass."""
        return bool(self._stack) and self._stack[-1][2] == task

    def _owner(self) -> str:
        """Return the path of the module that made the node at work."""
        node: Any = torch._C._current_autograd_node()
        if node is None:
            return ""
        number = node._sequence_nr()
        if number >= ACCUMULATE:
            variable = getattr(node, "variable", None)
            return self._owners.get(id(variable), "")
        return self._nodes.at(number)

    def _begin(self, module: torch.nn.Module, args: Any) -> Any:
        if get_ident() != self._thread:
            name = type(module).__name__
            self._report.not_simulated[name, _ELSEWHERE][self._names.get(module, name)] += 1
            return None
        if self._stack:
            self._settle()
        known = self._names.get(module)
        if known is None:
            self._learn(module)
        name = self._names[module] if known is None else known
        layer = self.layer if self.layer is not None and is_alone(module, args, self.layer.mode) else None
        for parameter in module._parameters.values():
            if parameter is not None and not is_lazy(parameter):
                self._owners[id(parameter)] = name
                if layer is None:
                    # Those of a layer that comes whole are marked when they arrive.
                    self._marks.add(parameter, Mark.parameter)
        # The call around hooks and module; to name a frame of our own would keep the operands until they are collected.
        self._stack.append((module, name, _task(), sys._getframe(2)))
        self._nodes.note(name)
        return None if layer is None else Envelope(args[0], layer)

    def _settle(self) -> None:
        """Forget modules that have ended unseen: PyTorch calls no hook after an interrupt."""
        while self._stack and get_ident() == self._thread and _ended(self._stack[-1][3]):
            self._stack.pop()
            self._nodes.note(self._stack[-1][1] if self._stack else "")

    def _learn(self, module: torch.nn.Module) -> None:
        """Name a module that is called by nobody known, and all in it."""
        root = f"{self._stack[-1][1]}.{type(module).__name__}" if self._stack else ""
        found, taken, model = self._paths(module, root), set(self._names.values()), 2
        while not self._stack and not taken.isdisjoint(found.values()):
            # Another model of the block has these paths.
            found, model = self._paths(module, f"{type(module).__name__}#{model}"), model + 1
        self._names.update(found)

    def _paths(self, module: torch.nn.Module, root: str) -> dict[torch.nn.Module, str]:
        """Return the names of a module and of all in it that have none."""
        return {
            inner: ".".join(filter(None, (root, path))) or type(inner).__name__
            for path, inner in paths(module)
            if inner not in self._names
        }

    def _end(self, module: torch.nn.Module, args: Any, result: Any) -> None:
        stack = self._stack
        if get_ident() == self._thread and stack:
            if stack[-1][0] is not module and all(entry[0] is not module for entry in stack):
                return
            # An error may have kept modules from ending.
            while stack.pop()[0] is not module:
                pass
            self._nodes.note(stack[-1][1] if stack else "")

    def _step(self, optimizer: Any, args: Any, kwargs: Any) -> Any:
        """Note the call that makes a step; a closure that it is given is no part of it."""
        if get_ident() != self._thread:
            return None
        self.stepped = True
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                self._marks.add(parameter, Mark.parameter)
        self._steps.append(sys._getframe(1))
        # The first argument is the optimizer.
        first, *rest = args
        return (first, *map(self._outside, rest)), {key: self._outside(x) for key, x in kwargs.items()}

    def _stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Forget a call that has ended, and with it what its frame holds."""
        if self._steps and self._steps[-1] is sys._getframe(1):
            self._steps.pop()

    def _stepping(self) -> bool:
        """Whether a step is at work: an error may have ended one, so the stack of calls tells."""
        while self._steps:
            frame = currentframe()
            while frame is not None and frame is not self._steps[-1]:
                frame = frame.f_back
            if frame is not None:
                return True
            self._steps.pop()
        return False

    def _outside(self, closure: Any) -> Any:
        """Return a closure that is evaluated outside of the step."""
        if not callable(closure):
            return closure

        def evaluated(*args: Any, **kwargs: Any) -> Any:
            steps, self._steps = self._steps, []
            try:
                return closure(*args, **kwargs)
            finally:
                self._steps = steps

        return evaluated


def paths(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """Return a model, and all modules in it, by their paths in the model that was compiled."""
    found = list(model.named_modules())
    # Nothing is compiled, or restored, before PyTorch has loaded its compiler.
    kind = getattr(sys.modules.get(_COMPILER), "OptimizedModule", ())
    made = {f"{path}.{_WRAPPED}".removeprefix(".") for path, module in found if isinstance(module, kind)}
    return [(_without(made, path), module) for path, module in found] if made else found


def _without(made: set[str], path: str) -> str:
    """Return a path without the parts that name no module of the caller's, which end the paths `made`."""
    parts = path.split(".")
    return ".".join(part for i, part in enumerate(parts, 1) if ".".join(parts[:i]) not in made)


def _ended(call: FrameType) -> bool:
    """Whether a call, PyTorch's of hooks and the module, has ended: its variables can be cleared then."""
    try:
        call.clear()
    except RuntimeError:
        return False
    return True


def _recomputes() -> bool:
    """Whether a node that is at work computes a part of the forward pass again, where gradients are enabled.

    They are enabled in a pass that makes a graph of itself as well, in which only checkpoints are known to do so.
    """
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(True)
    if hooks is not None and _RECOMPUTED in hooks[0].__qualname__:
        return True
    node: Any = torch._C._current_autograd_node()
    if node is not None and node.name() == _CHECKPOINT:
        return True
    frame = currentframe()
    while frame is not None and frame.f_code not in _PASSES:
        frame = frame.f_back
    return frame is not None and not frame.f_locals["create_graph"]
