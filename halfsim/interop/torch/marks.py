"""What is known of numbers in a memory: that they are weights, activations, wider than the policy stores, bfloat16."""

from __future__ import annotations

import torch
from torch.multiprocessing.reductions import StorageWeakRef

__all__ = ["Mark", "Marks"]

_expired = torch.UntypedStorage._expired
_STRIDED = torch.strided
_TENSOR, _PARAMETER = torch.Tensor, torch.nn.Parameter
_wrapped = torch._C._functorch.is_functorch_wrapped_tensor


class Mark:
    """What a memory holds, as bits: an enumeration would take longer than the operators of small models."""

    weight = 1
    activation = 2
    wide = 4
    brain = 8
    """Bfloat16 numbers in float32: copied from a bfloat16 tensor, or computed of such."""
    parameter = 16 | weight
    """A weight that is a parameter: in float32 it is a master copy, of whatever numbers it was made."""
    moved = weight | activation | wide
    """What follows any number."""
    numbers = wide | brain
    """What a memory that is written anew no longer is."""


_BRAIN = Mark.brain | (Mark.parameter & ~Mark.weight)
_WIDER = torch.float32, torch.float64, torch.complex64, torch.complex128


class Marks:
    """Marks by memory, so that every view of a tensor has them; they end with the memory.

    A weak reference keeps the address of a memory from being used again while its mark is known.

    Attributes
    ----------
    brains : bool
        Whether a bfloat16 tensor has been met, without which no memory holds bfloat16 numbers.
    """

    def __init__(self) -> None:
        self.brains = False
        self._found: dict[int, tuple[StorageWeakRef, int]] = {}
        self._limit = 4096

    def of(self, tensor: torch.Tensor) -> int:
        """Return the marks of a tensor."""
        if tensor.layout is not _STRIDED:
            return 0
        found = self._found.get(_plain(tensor).untyped_storage()._cdata)
        return 0 if found is None or _expired(found[0].cdata) else found[1]

    def add(self, tensor: torch.Tensor, mark: int) -> None:
        """Mark a tensor, and all that share its memory; one without a memory of its own, as a sparse one, is not."""
        if tensor.layout is not _STRIDED:
            return
        storage = (_plain(tensor) if _wrapped(tensor) else tensor).untyped_storage()
        found = self._found.get(storage._cdata)
        known = 0 if found is None or _expired(found[0].cdata) else found[1]
        if mark & ~known:
            if len(self._found) >= self._limit:
                self._found = {key: entry for key, entry in self._found.items() if not entry[0].expired()}
                self._limit = max(4096, 2 * len(self._found))
            self._found[storage._cdata] = StorageWeakRef(storage), known | mark

    def apart(self, number: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a number that is to be copied to a tensor, in a memory of its own if it lies in the tensor's."""
        if number.untyped_storage().data_ptr() != target.untyped_storage().data_ptr():
            return number
        copied = number.clone()
        self.add(copied, self.of(number))
        return copied

    def weigh(self, tensors: list[torch.Tensor]) -> None:
        """Mark those that are parameters as weights."""
        for tensor in tensors:
            # The exact types first: asking for a Parameter is a function of Python.
            if (kind := type(tensor)) is not _TENSOR and (kind is _PARAMETER or isinstance(tensor, _PARAMETER)):
                self.add(tensor, Mark.parameter)

    def brain(self, tensors: list[torch.Tensor], known: bool | None = None) -> bool:
        """Whether some of the tensors hold bfloat16 numbers, of those with dimensions if there are any.

        Float16 tensors have numbers that bfloat16 lacks: beside them, none do. Where it is `known` of numbers in
        float32, their marks say nothing.
        """
        shaped = [x for x in tensors if x.ndim and x.numel()] or [x for x in tensors if x.ndim] or tensors
        if any(x.dtype is torch.float16 for x in shaped):
            return False
        if any(x.dtype is torch.bfloat16 for x in shaped):
            return True
        return any(self.of(x) & _BRAIN == Mark.brain for x in shaped) if known is None else known

    def hold(self, tensors: list[torch.Tensor]) -> None:
        """Mark those that are wider than bfloat16 as holding bfloat16 numbers."""
        for tensor in tensors:
            if tensor.dtype in _WIDER:
                self.add(tensor, Mark.brain)

    def settle(self, tensor: torch.Tensor, brain: bool) -> None:
        """Note what a tensor was written anew with."""
        if brain:
            self.hold([tensor])
        else:
            self.forget(tensor, Mark.brain)

    def forget(self, tensor: torch.Tensor, mark: int) -> None:
        """Forget marks of a memory, where a tensor that was written anew fills it."""
        if not self.of(tensor) & mark:
            return
        storage = _plain(tensor).untyped_storage()
        if tensor.numel() * tensor.element_size() == storage.nbytes():
            reference, known = self._found[storage._cdata]
            self._found[storage._cdata] = reference, known & ~mark


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return what lies under the wrappers of torch.func."""
    while _wrapped(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor
