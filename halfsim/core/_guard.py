"""Kernels run under one state of the floating-point unit, whatever the thread that calls them has set.

A library may have switched the flushing of subnormal numbers on, or another direction of rounding. On x86-64 every
kernel sets the register MXCSR to its default when it is entered and puts it back, exception flags included, when it
returns. On other architectures kernels need rounding to nearest, and `halfsim.kernels.gemm32` subnormal numbers too.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from typing import Any

from llvmlite import ir as llvm
from numba.core import cgutils, ir, types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.untyped_passes import IRProcessing
from numba.extending import intrinsic

from halfsim._state import default_state
from halfsim.core._inlined import brief

__all__ = ["Guarded"]

# Rounding to nearest, no flushing, no traps, no flags.
_DEFAULT = 0x1F80
_WORD = llvm.IntType(32)


def _instruction(builder: Any, name: str, place: Any) -> None:
    """Write an access to the register, which nothing in memory may cross."""
    address = llvm.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(
        builder.module, llvm.FunctionType(llvm.VoidType(), [address]), f"llvm.x86.sse.{name}"
    )
    builder.call(function, [builder.bitcast(place, address)])
    builder.asm(llvm.FunctionType(llvm.VoidType(), []), "", "~{memory}", [], side_effect=True)


@intrinsic
def _enter(typingctx):
    """Set the default state; return the one before."""

    def codegen(context, builder, signature, args):
        place = cgutils.alloca_once(builder, _WORD)
        _instruction(builder, "stmxcsr", place)
        before = builder.load(place)
        builder.store(_WORD(_DEFAULT), place)
        _instruction(builder, "ldmxcsr", place)
        return before

    return types.uint32(), codegen


@intrinsic
def _leave(typingctx, before):
    """Put a state back."""

    def codegen(context, builder, signature, args):
        place = cgutils.alloca_once(builder, _WORD)
        builder.store(args[0], place)
        _instruction(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.void(types.uint32), codegen


@register_pass(mutates_CFG=False, analysis_only=False)
class _Guard(FunctionPass):
    """Call `_enter` where a function begins and `_leave` where it returns."""

    _name = "halfsim_guard"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        blocks = state.func_ir.blocks
        entry = blocks[min(blocks)]
        scope, loc = entry.scope, entry.loc

        def call(name: str, function: Any, *arguments: Any) -> list[Any]:
            callee, result = (scope.redefine(f"$guard_{name}{suffix}", loc) for suffix in ("", "_result"))
            return [
                ir.Assign(ir.Global(f"halfsim_guard_{name}", function, loc), callee, loc),
                ir.Assign(ir.Expr.call(callee, arguments, (), loc), result, loc),
            ]

        first = call("enter", _enter)
        before = first[-1].target
        for block in blocks.values():
            if isinstance(block.terminator, ir.Return):
                block.body[-1:-1] = call("leave", _leave, before)
        position = sum(isinstance(s, ir.Assign) and isinstance(s.value, ir.Arg) for s in entry.body)
        entry.body[position:position] = first
        for statement in [s for block in blocks.values() for s in block.body if isinstance(s, ir.Assign)]:
            name = statement.target.name
            if name.startswith("$guard_"):
                state.func_ir._definitions[name] = [statement.value]
        return True


def _require_scipy() -> None:
    if importlib.util.find_spec("scipy") is None:
        raise ImportError("no SciPy, no BLAS")


def _spare_scipy() -> None:
    """Load the part of Numba that asks whether there is a BLAS, without loading SciPy's: no kernel calls it.

    Whatever does call it has Numba load it then.
    """
    if "numba.np.arraymath" in sys.modules:
        return
    linalg: Any = importlib.import_module("numba.np.linalg")
    ensure = getattr(linalg, "ensure_blas", None)
    if ensure is None:
        return  # a version that asks in another way
    linalg.ensure_blas = _require_scipy
    try:
        arraymath: Any = importlib.import_module("numba.np.arraymath")
        arraymath.ensure_blas = ensure
    finally:
        linalg.ensure_blas = ensure


class Guarded(CompilerBase):
    """Numba's compiler for kernels."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        _spare_scipy()
        super().__init__(*arguments, **options)

    def compile_extra(self, function: Any) -> Any:
        """Compile in the default state: LLVM computes what is constant on the processor."""
        with default_state():
            return super().compile_extra(function)

    def define_pipelines(self) -> list[Any]:
        pipeline = brief(DefaultPassBuilder.define_nopython_pipeline(self.state))
        if platform.machine() in ("x86_64", "AMD64"):
            # Before the pass that finds out where variables end.
            position = [step for step, _ in pipeline.passes].index(IRProcessing)
            pipeline.passes.insert(position, (_Guard, "guard the state of the floating-point unit"))
            pipeline._finalized = False
            pipeline.finalize()
        return [pipeline]
