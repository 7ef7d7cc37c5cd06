"""One operator at work: which arithmetic it has, and how its results are stored, counted and handed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch

from halfsim.formats import BINARY16
from halfsim.interop.torch.bfloat16 import PLAIN32
from halfsim.interop.torch.machine import TensorMachine
from halfsim.interop.torch.machines import KINDS, Machines, kind_of_wide
from halfsim.interop.torch.marks import Mark, Marks
from halfsim.interop.torch.modules import BACKWARD, OPTIMIZER
from halfsim.interop.torch.tensors import array_of, memory_of, strided_like, tensor_of, words_of
from halfsim.policy import Policy
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.machine import WIDE, Expression

__all__ = ["Call", "Function"]

Function: TypeAlias = Callable[..., Any]
"""An expression of an arithmetic and of operands that are in it."""

_VIEW_NODES = (
    "Alias Clone Expand Permute ReshapeAlias Select Slice Squeeze T ToCopy Transpose UnsafeView Unsqueeze View"
)
_VIEWS = {f"{name}Backward0" for name in _VIEW_NODES.split()}
_DEPTH = 8
_F16 = np.dtype(np.float16)


class Call:
    """An operator at work.

    Parameters
    ----------
    machines : Machines
        What computes.
    marks : Marks
        What is known of tensors.
    policy : Policy
        Of this call.
    phase, module : str
        Which pass, and the path of the module.
    dtype : torch dtype
        The widest of the floating-point operands.
    master : bool
        Whether numbers are kept that the policy does not store: an optimizer's, a master copy, what is wide already.
    brain : bool
        Whether operands are bfloat16 numbers, in tensors of that type or in float32.

    Attributes
    ----------
    hidden : bool
        Whether it made an infinity or a NaN of finite numbers that its result does not show.
    """

    _brain = False
    """Whether stored results in float32 are bfloat16 numbers."""

    def __init__(
        self,
        machines: Machines,
        marks: Marks,
        policy: Policy,
        phase: str,
        module: str,
        dtype: torch.dtype,
        master: bool,
        brain: bool = False,
    ) -> None:
        kind = "master" if master else "bfloat16" if dtype is torch.bfloat16 else "plain"
        if brain and not master:
            stored = policy.gradients if phase == BACKWARD else policy.activations
            self._brain, kind = stored == BINARY16, KINDS.get(dtype) or kind_of_wide(policy, brain)
        self.machine: TensorMachine = machines.of(policy, kind)
        self.machine.layer = module
        self.dtype, self.hidden = dtype, False
        self.backward = phase == BACKWARD
        self.optimizer = phase == OPTIMIZER or master
        self._machines, self._marks, self._policy = machines, marks, policy

    @property
    def pointwise_arithmetic(self) -> Arithmetic:
        """That of elementwise operations in this pass."""
        machine = self.machine
        return machine.backward_pointwise if self.backward else machine.forward_pointwise

    @property
    def reduction_arithmetic(self) -> Arithmetic:
        """That of sums and means: of the bias in the backward pass, else of batch normalisation."""
        return self.machine.bias if self.backward else self.machine.batch_norm

    def factor(self, tensor: torch.Tensor) -> Array:
        """Return a tensor in the format in which it takes part in products."""
        machine = self.machine
        if machine.keeps16 and tensor.dtype is torch.float16:
            return array_of(tensor)
        storage = self._storage(tensor)
        values = array_of(tensor)
        # In the order of memory: a transposed matrix stays so.
        turned = values.ndim == 2 and values.flags.f_contiguous and not values.flags.c_contiguous
        values = values.T if turned else values
        stored = None
        if machine.counts16 and storage.dtype == _F16 and tensor.dtype is torch.float32 and values.flags.c_contiguous:
            stored = machine.ledger.narrowed(machine.layer, values)
        if stored is not None:
            return stored.T if turned else stored
        stored = storage.convert(values)
        # Float16 operands are other ones only where their subnormals are flushed.
        if tensor.dtype != torch.bfloat16 and stored is not values:
            machine.ledger.operand(machine.layer, values, stored)
        return stored.T if turned else stored

    def _storage(self, tensor: torch.Tensor) -> Arithmetic:
        """Return what rounds a factor."""
        machine = self.machine
        # Where all are stored alike, marks need not be looked up.
        marks = 0 if machine.alike else self._marks.of(tensor)
        if marks & Mark.weight:
            return machine.weights
        return machine.gradients if self.backward and not marks & Mark.activation else machine.activations

    def operand(self, tensor: torch.Tensor) -> Array:
        """Return a tensor as it takes part in other operations: rounded like a factor, unless it is to stay wide."""
        if not tensor.ndim or self._marks.of(tensor) & (Mark.wide | Mark.weight) == Mark.wide:
            return array_of(tensor)
        return self.factor(tensor)

    def is_weight(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is a weight, or a view of one."""
        return bool(self._marks.of(tensor) & Mark.weight)

    def mark(self, tensor: torch.Tensor, mark: int) -> None:
        """Note what a tensor holds."""
        self._marks.add(tensor, mark)

    def narrowed(self, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return a tensor in float16 or bfloat16, as the policy rounds, and count what that lost."""
        values, machine = array_of(x), self.machine
        target = self._machines.of(self._policy, KINDS[dtype])
        stored = target.weights.convert(values)
        target.ledger.count(machine.layer, "copy", np.asarray(values, np.float32), stored)
        machine.ledger.watch(machine.layer, "copy", stored)
        return tensor_of(stored, dtype)

    def moved(self, result: torch.Tensor, *sources: torch.Tensor) -> torch.Tensor:
        """Return numbers that were only moved, as wide as one of their sources."""
        for source in sources:
            self._marks.add(result, self._marks.of(source) & Mark.wide)
        return result

    def product(
        self, a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None = None, turned: bool = False
    ) -> Array:
        """Return the product of matrices, or of stacks of them, summed and stored as its kind is; `turned`, by b.T."""
        machine, kind = self.machine, self._kind(a, b)
        brains = machine.brain and a.dtype is b.dtype is torch.bfloat16
        factor = self.factor if not brains else words_of if machine.takes_words(kind) else array_of
        x = factor(a)
        if kind != "forward":
            y = factor(b)
            return machine.data_gradient(x, y) if kind == "data_gradient" else machine.weight_gradient(x, y)
        kept = None
        if b.ndim == 2 and (brains or b.dtype is not torch.bfloat16) and (turned or self.is_weight(b)):
            memory = memory_of(b)
            kept = machine.keep(x, memory.T if turned else memory, b.data_ptr(), self._storage(b))
        if kept is None:
            kept = factor(b).T if turned else factor(b)
        return machine.forward(x, kept, None if bias is None else self._start(bias))

    def _kind(self, a: torch.Tensor, b: torch.Tensor) -> str:
        """Return which of the policy's accumulators sums a product."""
        if not self.backward:
            return "forward"
        data = self.is_weight(a) or self.is_weight(b) or not _gives_a_weight(self._marks)
        return "data_gradient" if data else "weight_gradient"

    def _start(self, bias: torch.Tensor) -> Array:
        """Return a vector that sums start from, in the format in which it takes part in them."""
        kept = None
        if bias.ndim == 1 and (bias.dtype is torch.float32 or (self.machine.brain and bias.dtype is torch.bfloat16)):
            kept = self.machine.start(memory_of(bias), bias.data_ptr(), self._storage(bias))
        return np.ascontiguousarray(self.factor(bias)) if kept is None else kept

    def pointwise(self, function: Function, *operands: torch.Tensor | float, dtype: torch.dtype | None = None) -> Any:
        """Return a function of the elements of tensors and of numbers, stored."""
        tensors = [x for x in operands if isinstance(x, torch.Tensor)]
        shape = torch.broadcast_shapes(*(x.shape for x in tensors))
        arrays = [array_of(x) if isinstance(x, torch.Tensor) else x for x in operands]
        a = self.pointwise_arithmetic if shape else self.machine.loss
        narrow: Callable[[Any], Any] = a.convert if self._brain else np.float16
        if (a.dtype == np.float16 or (self._brain and shape and self.dtype is torch.float32)) and any(
            _exceeds(self._marks, x, array, narrow) for x, array in zip(operands, arrays, strict=True)
        ):
            a = PLAIN32
        if a.dtype == np.float32:
            arrays = [self.operand(x) if isinstance(x, torch.Tensor) else x for x in operands]

        def expression(a: Arithmetic) -> Array:
            return np.asarray(
                function(a, *(a.convert(x) if isinstance(x, np.ndarray) else a.number(float(x)) for x in arrays))
            )

        result = self.stored(a, expression, dtype or self.dtype, keep=not shape)
        return self.ordered(result, *tensors)

    def ordered(self, result: torch.Tensor, *operands: torch.Tensor) -> torch.Tensor:
        """Return a result in the order in memory that PyTorch's elementwise operators give it, as wide as it was."""
        found = strided_like(result, *operands)
        return result if found is result else self.moved(found, result)

    def stored(
        self,
        a: Arithmetic,
        expression: Expression,
        dtype: torch.dtype | None = None,
        *,
        keep: bool = False,
        plain: bool = True,
    ) -> torch.Tensor:
        """Evaluate a result in an arithmetic, store it as the policy says and count the losses; or keep it as it is."""
        machine = self.machine
        if keep:
            computed = np.asarray(expression(a))
            values = self._held(computed, dtype or self.dtype)
            if machine.ledger.sampling:
                exact = computed if a.wide else np.asarray(expression(WIDE))
                machine.ledger.count(machine.layer, "kept", exact, values)
            machine.ledger.watch(machine.layer, "kept", values)
        elif self.backward:
            values = machine.gradient("gradient", a, expression, plain)
        else:
            values = machine.value(a, expression)
        return self.tensor(values, dtype or self.dtype, not keep)

    def tensor(self, values: Array, dtype: torch.dtype | None = None, stored: bool = False) -> torch.Tensor:
        """Return an array as a tensor, marked as wide where a float32 tensor holds more than the policy stores.

        Parameters
        ----------
        values : array
            The numbers.
        dtype : torch dtype, optional
            By default that of the operands, with the numbers of a product, which are stored.
        stored : bool
            Whether the numbers are stored ones although a type is given, as for statistics that are not.
        """
        given, dtype = dtype, dtype or self.dtype
        stores = dtype is torch.bfloat16 and given is None and self.machine.brain
        if stores or (dtype is torch.float16 and values.dtype == _F16):
            return tensor_of(values, dtype)
        computed = np.asarray(values)
        values = self._held(computed, dtype)
        if values is not computed and computed.dtype == np.float32:
            self.machine.ledger.lost(self.machine.layer, computed, values)
            self.machine.ledger.watch(self.machine.layer, "narrow", values)
        result = tensor_of(values, dtype)
        if dtype == torch.float32 and values.dtype == np.float32 and not (self._brain and (stored or given is None)):
            self._marks.add(result, Mark.wide)
        return result

    def _held(self, values: Array, dtype: torch.dtype) -> Array:
        """Return the numbers that a tensor of a type holds."""
        if dtype not in KINDS or (dtype == torch.float16 and values.dtype == np.float16):
            return values
        return self._machines.of(self._policy, KINDS[dtype]).weights.convert(values)


def _exceeds(marks: Marks, operand: torch.Tensor | float, values: Any, narrow: Callable[[Any], Any]) -> bool:
    """Whether an operand holds more than a narrow format: a number that it lacks, or a tensor that is marked so."""
    if isinstance(operand, torch.Tensor) and operand.ndim:
        # A weight is rounded where it is used, though an optimizer made it wide.
        return operand.dtype == torch.float32 and marks.of(operand) & (Mark.wide | Mark.weight) == Mark.wide
    number = np.float32(values)
    with np.errstate(over="ignore"):
        held = np.float32(narrow(number))
    return bool(held != number and number == number)


def _gives_a_weight(marks: Marks) -> bool:
    """Whether the node at work makes the gradient of a weight, but for views of it."""
    node = torch._C._current_autograd_node()
    return node is not None and any(
        _is_weight(following, marks) for following, _ in node.next_functions if following is not None
    )


def _is_weight(node: Any, marks: Marks) -> bool:
    for _ in range(_DEPTH):
        variable = getattr(node, "variable", None)
        if variable is not None:
            return bool(marks.of(variable) & Mark.weight)
        if node.name() not in _VIEWS or not node.next_functions or node.next_functions[0][0] is None:
            return False
        node = node.next_functions[0][0]
    return False
