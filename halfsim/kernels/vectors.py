"""Vectors of 16 numbers as values of compiled loops: what the compiler does not vectorise well by itself.

A vector is one of float32, float64, int32 or int64 lanes; LLVM cuts it to the registers that the processor has. Every
operation is lane by lane and none rounds otherwise than the scalar one.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

__all__ = [
    "LANES",
    "Vector",
    "add",
    "afresh",
    "bits",
    "bitwise_and",
    "bitwise_or",
    "exact_multiply_add",
    "lanes_type",
    "larger",
    "load",
    "multiply",
    "multiply_add",
    "narrow",
    "number",
    "splat",
    "store",
    "subtract",
    "truncate",
    "where_below",
    "widen",
]

LANES = 16


class Vector(types.Type):
    """Numba type of a vector; `element` is the Numba type of a lane."""

    def __init__(self, element):
        self.element = element
        super().__init__(f"vector({element} x {LANES})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(dmm.lookup(fe_type.element).get_value_type(), LANES))


def _is_float(vector):
    return isinstance(vector.element, types.Float)


def lanes_type(context, vector):
    """LLVM type of a vector."""
    return context.get_value_type(vector)


def _address(context, builder, array_type, array, index):
    """Pointer to LANES elements from `index`; one-dimensional contiguous arrays only."""
    data = context.make_array(array_type)(context, builder, array).data
    pointer = builder.gep(data, [index])
    return builder.bitcast(pointer, lanes_type(context, Vector(array_type.dtype)).as_pointer())


@intrinsic
def load(typingctx, array, index):
    """LANES elements of a contiguous array from `index` on."""

    def codegen(context, builder, signature, args):
        pointer = _address(context, builder, signature.args[0], *args)
        return builder.load(pointer, align=context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype)))

    return Vector(array.dtype)(array, types.int64), codegen


@intrinsic
def afresh(typingctx, index):
    """The same integer, of which the compiler knows nothing: what lies there is loaded, not kept from before."""

    def codegen(context, builder, signature, args):
        return builder.asm(ir.FunctionType(ir.IntType(64), [ir.IntType(64)]), "", "=r,0", args, False)

    return types.int64(types.int64), codegen


@intrinsic
def store(typingctx, array, index, vector):
    """Write LANES elements of a contiguous array from `index` on."""

    def codegen(context, builder, signature, args):
        pointer = _address(context, builder, signature.args[0], *args[:2])
        size = context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
        builder.store(args[2], pointer, align=size)
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), codegen


@intrinsic
def splat(typingctx, value):
    """All lanes the same."""

    def codegen(context, builder, signature, args):
        lanes = lanes_type(context, signature.return_type)
        one = builder.insert_element(ir.Constant(lanes, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(one, ir.Constant(lanes, ir.Undefined), mask)

    value = types.unliteral(value)
    return Vector(value)(value), codegen


@intrinsic
def add(typingctx, x, y):
    """Sum."""

    def codegen(context, builder, signature, args):
        return (builder.fadd if _is_float(signature.return_type) else builder.add)(*args)

    return x(x, y), codegen


@intrinsic
def subtract(typingctx, x, y):
    """Difference."""

    def codegen(context, builder, signature, args):
        return (builder.fsub if _is_float(signature.return_type) else builder.sub)(*args)

    return x(x, y), codegen


@intrinsic
def multiply(typingctx, x, y):
    """Product of numbers."""

    def codegen(context, builder, signature, args):
        return builder.fmul(*args)

    return x(x, y), codegen


def exact_multiply_add(builder, lanes, x, y, z):
    """Emit x * y + z for exact products: one instruction where the processor has it, else two, and the same bits."""
    name = f"llvm.fmuladd.v{lanes.count}f{32 if lanes.element == ir.FloatType() else 64}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(lanes, [lanes] * 3), name)
    return builder.call(function, [x, y, z])


@intrinsic
def multiply_add(typingctx, x, y, z):
    """Sum of z and a product that is exact."""

    def codegen(context, builder, signature, args):
        return exact_multiply_add(builder, lanes_type(context, signature.return_type), *args)

    return x(x, y, z), codegen


@intrinsic
def larger(typingctx, x, y):
    """The larger number; y where they do not compare."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return x(x, y), codegen


@intrinsic
def where_below(typingctx, x, y, a, b):
    """Lanes of a where x < y, else of b."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return a(x, y, a, b), codegen


@intrinsic
def bitwise_and(typingctx, x, y):
    """Bits set in both integers."""

    def codegen(context, builder, signature, args):
        return builder.and_(*args)

    return x(x, y), codegen


@intrinsic
def bitwise_or(typingctx, x, y):
    """Bits set in either integer."""

    def codegen(context, builder, signature, args):
        return builder.or_(*args)

    return x(x, y), codegen


@intrinsic
def bits(typingctx, x):
    """Patterns of numbers, as integers of the same width."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], lanes_type(context, signature.return_type))

    return Vector(types.int32 if x.element == types.float32 else types.int64)(x), codegen


@intrinsic
def number(typingctx, x):
    """Numbers of patterns."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], lanes_type(context, signature.return_type))

    return Vector(types.float32 if x.element == types.int32 else types.float64)(x), codegen


@intrinsic
def widen(typingctx, x):
    """Float64 of float32 or int32: exact."""

    def codegen(context, builder, signature, args):
        to = lanes_type(context, signature.return_type)
        return (builder.fpext if _is_float(signature.args[0]) else builder.sitofp)(args[0], to)

    return Vector(types.float64)(x), codegen


@intrinsic
def narrow(typingctx, x):
    """Float32 of float64."""

    def codegen(context, builder, signature, args):
        return builder.fptrunc(args[0], lanes_type(context, signature.return_type))

    return Vector(types.float32)(x), codegen


@intrinsic
def truncate(typingctx, x):
    """Int32 of a number, cut toward zero; meaningless where it does not fit."""

    def codegen(context, builder, signature, args):
        return builder.fptosi(args[0], lanes_type(context, signature.return_type))

    return Vector(types.int32)(x), codegen
