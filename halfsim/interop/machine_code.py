"""The core as an object file: compiled loops under C names, with nothing behind them but C's malloc and free.

Nothing is computed a second way: the loops are those that the operations run, compiled by Numba; here they get a C
calling convention, and the optimiser drops all that the C names do not reach.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from halfsim.accumulators import FusedDotAdd, factor_formats
from halfsim.core._jit import scalar
from halfsim.core.fields import layout
from halfsim.formats import BINARY16
from halfsim.kernels.product import plan
from halfsim.operation import Operation

__all__ = ["Function", "dot_unit", "elementwise", "object_code"]


# What arrays inside a loop need: Numba's record of a piece of memory, its data pointer at byte 24, here on the heap.
_MEMORY = """
declare ptr @malloc(i64)
declare void @free(ptr)
define ptr @NRT_MemInfo_alloc_aligned(i64 %size, i32 %align) {
  %step = zext i32 %align to i64
  %head = add i64 %step, 64
  %total = add i64 %head, %size
  %info = call ptr @malloc(i64 %total)
  %none = icmp eq ptr %info, null
  br i1 %none, label %end, label %fill
fill:
  %start = ptrtoint ptr %info to i64
  %beyond = add i64 %start, %head
  %mask = sub i64 0, %step
  %place = and i64 %beyond, %mask
  %data = inttoptr i64 %place to ptr
  store i64 1, ptr %info
  %field = getelementptr i8, ptr %info, i64 24
  store ptr %data, ptr %field
  br label %end
end:
  ret ptr %info
}
define void @NRT_MemInfo_call_dtor(ptr %info) {
  call void @free(ptr %info)
  ret void
}
"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the object file.

    Parameters
    ----------
    name : str
        Its C name.
    loop : callable
        What it runs, in the subset of Python that Numba compiles; its arguments have the types of `signature`.
    signature : tuple
        Numba types.
    shim : str
        LLVM assembly of the C function, ``{loop}`` standing for the compiled loop's name.
    """

    name: str
    loop: Callable[..., Any]
    signature: tuple[Any, ...]
    shim: str


def elementwise(name: str, operation: Operation) -> Function:
    """Return ``uint16_t name(uint16_t a, ..., uint32_t control, uint8_t *flags)`` of an operation."""
    from numba import types

    kernel, extra, arity = operation.kernel, operation.extra, operation.arity
    word, flag, truth = (types.CPointer(kind) for kind in (types.uint16, types.uint8, types.boolean))
    result = truth if operation.dtype == np.bool_ else word
    letters = "abc"[:arity]
    parameters = ", ".join(f"i16 zeroext %{x}" for x in letters)
    stores = "".join(f"  %p{x} = alloca i16\n  store i16 %{x}, ptr %p{x}\n" for x in letters)
    shim = (
        f"declare i32 @{{loop}}(ptr, ptr, {'ptr, ' * arity}ptr, ptr, i64)\n"
        f"define zeroext i16 @{name}({parameters}, i32 %control, ptr %flags) {{{{\n"
        f"{stores}  %z = alloca i16\n  store i16 0, ptr %z\n"
        f"  %none = alloca i64\n  %error = alloca ptr\n  %word = zext i32 %control to i64\n"
        f"  call i32 @{{loop}}(ptr %none, ptr %error, {''.join(f'ptr %p{x}, ' for x in letters)}"
        "ptr %z, ptr %flags, i64 %word)\n"
        "  %value = load i16, ptr %z\n  ret i16 %value\n}}\n"
    )
    loop = (_one, _two, _three)[arity - 1](kernel, extra)
    return Function(name, loop, (*[word] * arity, result, flag, types.int64), shim)


def _one(kernel: Any, extra: tuple[int, ...]) -> Callable[..., Any]:
    def loop(a, z, flags, control):  # type: ignore[no-untyped-def]
        kernel(numba.carray(a, 1), numba.carray(z, 1), numba.carray(flags, 1), control, 0, 0, *extra)
        return 0

    return loop


def _two(kernel: Any, extra: tuple[int, ...]) -> Callable[..., Any]:
    def loop(a, b, z, flags, control):  # type: ignore[no-untyped-def]
        x, y = numba.carray(a, 1), numba.carray(b, 1)
        kernel(x, y, numba.carray(z, 1), numba.carray(flags, 1), control, 0, 0, *extra)
        return 0

    return loop


def _three(kernel: Any, extra: tuple[int, ...]) -> Callable[..., Any]:
    def loop(a, b, c, z, flags, control):  # type: ignore[no-untyped-def]
        x, y, w = numba.carray(a, 1), numba.carray(b, 1), numba.carray(c, 1)
        kernel(x, y, w, numba.carray(z, 1), numba.carray(flags, 1), control, 0, 0, *extra)
        return 0

    return loop


def dot_unit(name: str, accumulator: FusedDotAdd) -> Function:
    """Return ``uint32_t name(const uint32_t *a, const uint32_t *b, uint32_t c)``, one block of a matrix unit.

    Raises
    ------
    ValueError
        If an operand is not binary16.
    """
    from numba import types

    if factor_formats(accumulator) != (BINARY16, BINARY16):
        raise ValueError(f"dot_unit: {name} multiplies other formats than binary16; choose a row of binary16 products")
    word, flag, wide = (types.CPointer(kind) for kind in (types.uint16, types.uint8, types.int64))
    shim = (
        "declare i32 @{loop}(ptr, ptr, ptr, ptr, ptr, ptr, ptr)\n"
        f"define i32 @{name}(ptr %a, ptr %b, i32 %c) {{{{\n"
        "  %d = alloca i64\n  %addend = zext i32 %c to i64\n  store i64 %addend, ptr %d\n"
        "  %zero = alloca i64\n  store i64 0, ptr %zero\n  %flags = alloca i8\n  store i8 0, ptr %flags\n"
        "  %none = alloca i64\n  %error = alloca ptr\n"
        "  call i32 @{loop}(ptr %none, ptr %error, ptr %a, ptr %b, ptr %zero, ptr %d, ptr %flags)\n"
        "  %long = load i64, ptr %d\n  %value = trunc i64 %long to i32\n  ret i32 %value\n}}\n"
    )
    return Function(name, _block(accumulator), (word, word, wide, wide, flag), shim)


def _block(accumulator: FusedDotAdd) -> Callable[..., Any]:
    chosen, terms = plan(accumulator), accumulator.terms
    kernel: Any = chosen.general
    to, control, extra = layout(chosen.format), chosen.control, chosen.extra
    scratch = chosen.scratch(terms)

    def loop(a, b, zero, d, flags):  # type: ignore[no-untyped-def]
        first = numba.carray(zero, 1)
        x, y = numba.carray(a, (1, 1, terms)), numba.carray(b, (1, terms, 1))
        kernel(
            x,
            y,
            first,
            first,
            first,
            numba.carray(d, 1),
            numba.carray(flags, 1),
            to,
            control,
            0,
            0,
            0,
            0,
            1,
            np.empty(scratch, np.int64),
            *extra,
        )
        return 0

    return loop


def object_code(functions: Sequence[Function]) -> bytes:
    """Compile functions to one position-independent object file for this machine's architecture.

    Raises
    ------
    RuntimeError
        If Numba's compiler is off or its form unknown, or the machine is big-endian.
    """
    if numba.config.DISABLE_JIT or sys.byteorder != "little":
        raise RuntimeError(
            "object_code: needs Numba's compiler (NUMBA_DISABLE_JIT is set?) and a little-endian machine"
        )
    from llvmlite import binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(_MEMORY)
    for function in functions:
        module.link_in(_compiled(function, llvm))
    kept = {function.name for function in functions}
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name not in kept:
            value.linkage = "internal"
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2, reloc="pic", codemodel="default")
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(module, builder)
    declared = [value.name for value in module.functions if value.is_declaration]
    outside = [name for name in declared if name not in ("malloc", "free") and not name.startswith("llvm.")]
    if outside:
        raise RuntimeError(f"object_code: the compiled core still calls {', '.join(outside)}; please report this")
    return bytes(machine.emit_object(module))


def _compiled(function: Function, llvm: Any) -> Any:
    """Return the module of a function: the loop as Numba compiles it, and the shim around it."""
    dispatcher: Any = scalar(function.loop)
    dispatcher.compile(function.signature)
    (result,) = dispatcher.overloads.values()
    text = result.library.get_llvm_str()
    if "ptr %" not in text:
        raise RuntimeError("object_code: this numba writes another form of LLVM assembly; update numba")
    loop = llvm.parse_assembly(text)
    shim = llvm.parse_assembly(function.shim.format(loop=result.fndesc.llvm_func_name))
    # Python's entry to the loop: with it gone nothing of Python is left.
    for value in loop.functions:
        if value.name.startswith("_ZN7cpython"):
            value.linkage = "internal"
    shim.link_in(loop)
    return shim
