"""Which operators on float32 tensors round to bfloat16: those on bfloat16 numbers, and the gradients of those."""

from __future__ import annotations

from inspect import currentframe
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction

from halfsim.interop.torch.marks import Marks
from halfsim.interop.torch.modules import BACKWARD, Modules
from halfsim.interop.torch.nodes import Nodes

__all__ = ["Brains"]

_sequence = torch._C._autograd._get_sequence_nr
_BETWEEN = "halfsim.", "torch._", "torch.utils."
"""Modules of what computes operators here."""
_ENGINE = torch.autograd.graph._engine_run_backward.__code__
_transforms = torch._C._are_functorch_transforms_active


class Brains:
    """Decides by what tensors hold, and in the backward pass by how the operator was rounded whose gradient it is.

    Autograd makes the node of an operator just before the operator is seen, so that the nodes since the last operator
    are its own: several in transformations of `torch.func`. Its parts come later, and make none.

    Parameters
    ----------
    marks, modules : Marks, Modules
        What is known of tensors; which pass is at work.
    """

    def __init__(self, marks: Marks, modules: Modules) -> None:
        self._marks, self._modules = marks, modules
        self._nodes: Nodes[bool | None] = Nodes(None)
        self._nodes.note(False)

    def begin(self, seen: int, tensors: list[torch.Tensor]) -> None:
        """Begin where an operator meets the first bfloat16 tensor, whose nodes have numbers from `seen`.

        Outside of transformations it has one at most; a node before that is of an operator in place.
        """
        self._marks.brains = True
        if not _transforms():
            made = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
            seen = max(seen, _sequence() - made)
        self._nodes.seen = seen

    def among(self, name: str, tensors: list[torch.Tensor]) -> bool:
        """Whether an operator on these tensors rounds to bfloat16."""
        if self._modules.phase() != BACKWARD:
            return self._marks.brain(tensors)
        known = self.recorded(name, tensors)
        if known is None:
            # The gradient of a sum, a loss say, is one number at all places.
            tensors = [x for x in tensors if not _is_spread(x)] or tensors
        return self._marks.brain(tensors, known)

    def record(self, brain: bool, changed: torch.Tensor | None = None) -> bool:
        """Remember how the operator is rounded that is seen now, if autograd has made a node of it; return that.

        Parameters
        ----------
        brain : bool
            Whether to bfloat16.
        changed : tensor, optional
            What it changes in place. Where that is a part of another tensor, a node for the whole follows.
        """
        nodes = self._nodes
        if _sequence() > nodes.seen:
            nodes.note(brain, nodes.seen)
            nodes.seen += changed is not None and changed._is_view()
        return brain

    def viewed(self, tensors: list[torch.Tensor]) -> None:
        """Remember what a view is of; a transformation of `torch.func` begins operators with views of operands."""
        if torch._C._current_autograd_node() is not None and self._modules.phase() == BACKWARD:
            # A constant that a backward pass begins with, spread over a shape, comes to hooks as it is.
            self._marks.hold(tensors if self.recorded("", tensors) else [])
        if _sequence() > self._nodes.seen:
            brain = self.among("", tensors)
            if brain or not _transforms():
                self.record(brain)

    def recorded(self, name: str, tensors: list[torch.Tensor]) -> bool | None:
        """Return how the operator was rounded of whose gradient this is a part; None where that is not known."""
        node: Any = torch._C._current_autograd_node()
        if node is None or not _is_autograds():
            return None
        if name == "add" and len(tensors) == 2 and tensors[0].shape == tensors[1].shape:
            # Gradients of one tensor are added while the last node is at work: they are those of what made the tensor.
            found = {self._of(following) for following, _ in node.next_functions if following is not None}
            if len(found) == 1:
                return found.pop()
        return self._of(node)

    def _of(self, node: Any) -> bool | None:
        return None if isinstance(node, BackwardCFunction) else self._nodes.at(node._sequence_nr())


def _is_spread(tensor: torch.Tensor) -> bool:
    """Whether a tensor is one number at several places."""
    strided = tensor.layout is torch.strided and tensor.numel() > 1
    return strided and not any(step for n, step in zip(tensor.shape, tensor.stride(), strict=True) if n > 1)


def _is_autograds() -> bool:
    """Whether autograd itself has called what is seen, and no Python between: a hook, or what a checkpoint repeats."""
    frame = currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_BETWEEN):
        frame = frame.f_back
    return frame is None or frame.f_code is _ENGINE
