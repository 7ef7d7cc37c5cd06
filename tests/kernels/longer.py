"""A plugin of pytest: the loops of processors with longer registers, in the instructions of this one.

What such loops do otherwise, panels of more columns and tiles of more vectors, is code like any other, which LLVM
compiles for shorter registers as well; so does it additions and products of binary16, which a wider format rounds
innocuously [@figueroa1995]. Its fused multiply-add it cannot: here that is one of binary64, rounded to odd to binary32,
then to binary16. The variable ``HALFSIM_LONGER`` is the tier. Kernels so compiled belong in a cache of their own.
"""

from __future__ import annotations

import os

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from halfsim.kernels import blocks, fused, native16, sequential32

HALF, WHOLE, FLOAT, DOUBLE = (
    ir.VectorType(kind, native16.LANES) for kind in (ir.HalfType(), ir.IntType(32), ir.FloatType(), ir.DoubleType())
)


@intrinsic
def many_registers(typingctx):
    """Yes."""
    return types.boolean(), lambda context, *_: context.get_constant(types.boolean, True)


def call(builder, name, *operands):
    kind = ir.FunctionType(DOUBLE, [DOUBLE] * len(operands))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{native16.LANES}f64")
    return builder.call(function, operands)


def step_fused(builder, x, y, total):
    """Round x y + total once."""
    exact = call(builder, "fma", *(builder.fpext(builder.fpext(each, FLOAT), DOUBLE) for each in (x, y, total)))
    near = builder.fptrunc(exact, FLOAT)
    back = builder.fpext(near, DOUBLE)
    beyond = builder.fcmp_ordered(">", call(builder, "fabs", back), call(builder, "fabs", exact))
    cut = builder.sub(builder.bitcast(near, WHOLE), builder.zext(beyond, WHOLE))
    odd = builder.or_(cut, builder.zext(builder.fcmp_ordered("!=", back, exact), WHOLE))
    return builder.fptrunc(builder.bitcast(odd, FLOAT), HALF)


def pytest_configure(config):
    blocks.panel_columns = fused.panel_columns = lambda: 64
    sequential32.many_registers = many_registers
    if os.environ["HALFSIM_LONGER"] == "avx512fp16":
        native16.available = lambda: True
        native16._FUSED_NUMBERS = native16._FUSED_NUMBERS._replace(step=step_fused)
