"""Integers in the lanes of vectors, and questions about any lane: beside `halfsim.kernels.vectors`."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from halfsim.kernels.vectors import LANES, Vector, lanes_type

__all__ = [
    "any_below",
    "any_not_below",
    "any_unequal",
    "bitwise_xor",
    "lane_numbers",
    "multiply_low",
    "shift_left",
    "shift_right",
    "shift_right_unsigned",
    "unsigned_larger",
    "unsigned_smaller",
    "where_negative",
]


@intrinsic
def bitwise_xor(typingctx, x, y):
    """Bits set in one of two integers."""

    def codegen(context, builder, signature, args):
        return builder.xor(*args)

    return x(x, y), codegen


@intrinsic
def shift_right(typingctx, x, count):
    """Arithmetic right shift; `count` is a vector too."""

    def codegen(context, builder, signature, args):
        return builder.ashr(*args)

    return x(x, count), codegen


@intrinsic
def shift_right_unsigned(typingctx, x, count):
    """Right shift that brings in zeros; `count` is a vector too."""

    def codegen(context, builder, signature, args):
        return builder.lshr(*args)

    return x(x, count), codegen


@intrinsic
def shift_left(typingctx, x, count):
    """Left shift; `count` is a vector too."""

    def codegen(context, builder, signature, args):
        return builder.shl(*args)

    return x(x, count), codegen


@intrinsic
def multiply_low(typingctx, x, y):
    """Products, of 64 bits, of the lower 32 bits of two int64, without sign."""

    def codegen(context, builder, signature, args):
        lanes = lanes_type(context, signature.return_type)
        low = ir.Constant(lanes, [0xFFFFFFFF] * LANES)
        return builder.mul(*(builder.and_(value, low) for value in args))

    return x(x, y), codegen


@intrinsic
def unsigned_larger(typingctx, x, y):
    """The larger of two integers without sign."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.icmp_unsigned(">", *args), *args)

    return x(x, y), codegen


@intrinsic
def unsigned_smaller(typingctx, x, y):
    """The smaller of two integers without sign."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.icmp_unsigned("<", *args), *args)

    return x(x, y), codegen


@intrinsic
def any_below(typingctx, x, y):
    """Whether an integer without sign is below the other in any lane."""

    def codegen(context, builder, signature, args):
        lanes = builder.bitcast(builder.icmp_unsigned("<", *args), ir.IntType(LANES))
        return builder.icmp_unsigned("!=", lanes, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(x, y), codegen


@intrinsic
def any_not_below(typingctx, x, y):
    """Whether a number is not below the other in any lane; those that do not compare count."""

    def codegen(context, builder, signature, args):
        lanes = builder.bitcast(builder.fcmp_unordered(">=", *args), ir.IntType(LANES))
        return builder.icmp_unsigned("!=", lanes, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(x, y), codegen


@intrinsic
def any_unequal(typingctx, x, y):
    """Whether two numbers differ in any lane; those that do not compare do not count."""

    def codegen(context, builder, signature, args):
        lanes = builder.bitcast(builder.fcmp_ordered("!=", *args), ir.IntType(LANES))
        return builder.icmp_unsigned("!=", lanes, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(x, y), codegen


@intrinsic
def where_negative(typingctx, x, a, b):
    """Lanes of a where an integer is negative, else of b."""

    def codegen(context, builder, signature, args):
        zero = ir.Constant(lanes_type(context, signature.args[0]), [0] * LANES)
        return builder.select(builder.icmp_signed("<", args[0], zero), args[1], args[2])

    return a(x, a, b), codegen


@intrinsic
def lane_numbers(typingctx):
    """Int64 from 0 to LANES - 1."""

    def codegen(context, builder, signature, args):
        return ir.Constant(lanes_type(context, signature.return_type), list(range(LANES)))

    return Vector(types.int64)(), codegen
