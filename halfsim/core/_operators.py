"""What an operator does with numbers, found once for each types of operands.

Numba asks its rules for arrays before those for numbers, at every operation of every function, and twice again. An
eighth of a first call went there.
"""

from __future__ import annotations

from typing import Any

from numba.core import ir, types
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering, NopythonTypeInference

__all__ = ["Inference", "Lowering"]

_NUMBERS = types.Number, types.Boolean, types.IntEnumMember
_found: dict[tuple[Any, tuple[Any, ...]], Any] = {}


def _of_numbers(function: Any, arguments: tuple[Any, ...]) -> bool:
    own = isinstance(function, types.Function) and getattr(function.typing_key, "__module__", "") == "_operator"
    return own and all(isinstance(argument, _NUMBERS) for argument in arguments)


def _signature(context: Any, function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the signature of an operator for types of numbers."""
    found = _found.get((function, arguments))
    if found is None:
        found = _found[function, arguments] = context.resolve_function_type(function, arguments, {})
    return found


class _Remembering:
    """A typing context that asks once."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_function_type(self, function: Any, arguments: Any, keywords: Any) -> Any:
        """Return the signature of a call."""
        if not keywords and _of_numbers(function, arguments):
            return _signature(self._context, function, tuple(arguments))
        return self._context.resolve_function_type(function, arguments, keywords)


@register_pass(mutates_CFG=True, analysis_only=False)
class Inference(NopythonTypeInference):
    """Numba's pass, asking once."""

    _name = "halfsim_inference"

    def run_pass(self, state: Any) -> Any:
        """Infer the types of a function."""
        context = state.typingctx
        state.typingctx = _Remembering(context)
        try:
            return super().run_pass(state)
        finally:
            state.typingctx = context


class _Lower(Lower):
    def lower_binop(self, resty: Any, expr: Any, op: Any) -> Any:
        """Write an operation on two numbers."""
        context, wanted = self.context, self.fndesc.calltypes[expr].args
        function = context.typing_context.resolve_value_type(op)
        constant = expr.static_lhs is not ir.UNDEFINED or expr.static_rhs is not ir.UNDEFINED
        if constant or not _of_numbers(function, wanted):
            return super().lower_binop(resty, expr, op)
        signature = _signature(context.typing_context, function, wanted)
        operands = [
            context.cast(self.builder, self.loadvar(operand.name), self.typeof(operand.name), kind)
            for operand, kind in zip((expr.lhs, expr.rhs), signature.args, strict=True)
        ]
        result = context.get_function(function, signature)(self.builder, operands)
        return context.cast(self.builder, result, signature.return_type, resty)


@register_pass(mutates_CFG=True, analysis_only=False)
class Lowering(NativeLowering):
    """Numba's pass, asking once."""

    _name = "halfsim_lowering"

    @property
    def lowering_class(self) -> Any:
        """What writes the code of a function."""
        return _Lower
