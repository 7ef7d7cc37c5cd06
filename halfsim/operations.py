"""The operations that give numbers: one row each, with its names in NumPy, IEEE 754 and TestFloat, and its loop.

Clauses are those of [@ieee754-2019], or of [@ieee754-2008] where so marked; TestFloat is [@testfloat3e].
"""

from __future__ import annotations

from halfsim.core.compare import Extremum
from halfsim.flags import Flags
from halfsim.kernels import elementwise as loops
from halfsim.operation import Operation

__all__ = [
    "add",
    "divide",
    "fma",
    "logb",
    "max_num",
    "max_num_mag",
    "maximum",
    "maximum_magnitude",
    "maximum_magnitude_number",
    "maximum_number",
    "maxsh",
    "min_num",
    "min_num_mag",
    "minimum",
    "minimum_magnitude",
    "minimum_magnitude_number",
    "minimum_number",
    "minsh",
    "multiply",
    "nextdown",
    "nextup",
    "remainder",
    "round_to_integral",
    "scaleb",
    "sqrt",
    "subtract",
]

_INVALID = Flags.invalid
_SUM = Flags.invalid | Flags.overflow | Flags.inexact  # a sum so small that it could underflow is exact
_PRODUCT = _SUM | Flags.underflow

# --- Arithmetic -------------------------------------------------------------------------------------------------------

add = Operation(
    "add",
    "addition",
    2,
    loops.add,
    "Sum a + b, rounded once.",
    ">>> hs.add(np.float16(1), np.float16(2**-11), rounding='rup')\nnp.float16(1.001)",
    "inf - inf is invalid; an exactly zero sum is +0, or -0 under roundTowardNegative (§6.3).",
    "IEEE 754-2019 §5.4.1",
    "f16_add",
    flags=_SUM,
)
subtract = Operation(
    "subtract",
    "subtraction",
    2,
    loops.subtract,
    "Difference a - b, rounded once.",
    ">>> hs.subtract(np.float16(1), np.float16(1), rounding='rdn')\nnp.float16(-0.0)",
    "inf - inf is invalid; a NaN operand keeps its sign.",
    "IEEE 754-2019 §5.4.1",
    "f16_sub",
    flags=_SUM,
)
multiply = Operation(
    "multiply",
    "multiplication",
    2,
    loops.multiply,
    "Product a * b, rounded once.",
    ">>> hs.multiply.flagged(np.float16(6e-8), np.float16(0.5))\nFlagged(value=np.float16(0.0), flags=np.uint8(3))",
    "0 * inf is invalid.",
    "IEEE 754-2019 §5.4.1",
    "f16_mul",
    flags=_PRODUCT,
)
divide = Operation(
    "divide",
    "division",
    2,
    loops.divide,
    "Quotient a / b, rounded once.",
    ">>> hs.divide.flagged(np.float16(1), np.float16(0))\nFlagged(value=np.float16(inf), flags=np.uint8(8))",
    "0/0 and inf/inf are invalid; a finite nonzero number over zero raises divideByZero; inf/0 raises nothing.",
    "IEEE 754-2019 §5.4.1",
    "f16_div",
    flags=_PRODUCT | Flags.divideByZero,
)
sqrt = Operation(
    "sqrt",
    "squareRoot",
    1,
    loops.sqrt,
    "Square root of a, rounded once.",
    ">>> hs.sqrt(np.float16(2))\nnp.float16(1.414)",
    "A negative number is invalid; the root of -0 is -0 without a flag.",
    "IEEE 754-2019 §5.4.1",
    "f16_sqrt",
    flags=_INVALID | Flags.inexact,
)
fma = Operation(
    "fma",
    "fusedMultiplyAdd",
    3,
    loops.fma,
    "Fused multiply-add a * b + c, rounded once.",
    ">>> x = hs.from_bits(0x3C01)\n>>> hs.fma(x, x, hs.negative(hs.multiply(x, x)))\nnp.float16(9.5e-07)",
    "0 * inf is invalid, beside a quiet NaN c as the environment says; an exactly zero sum is as in `add`.",
    "IEEE 754-2019 §5.4.1",
    "f16_mulAdd",
    flags=_PRODUCT,
)
remainder = Operation(
    "remainder",
    "remainder",
    2,
    loops.remainder,
    "IEEE remainder a - b * n, n the integer nearest a / b, ties to even; always exact.",
    ">>> hs.remainder(np.float16(7), np.float16(2))\nnp.float16(-1.0)",
    "A zero result has the sign of a; remainder(inf, b) and remainder(a, 0) are invalid; remainder(a, inf) is a. "
    "It is not NumPy's remainder, whose quotient is rounded down.",
    "IEEE 754-2019 §5.3.1",
    "f16_rem",
    rounds=False,
    flags=_INVALID,
)
round_to_integral = Operation(
    "round_to_integral",
    "roundToIntegral",
    1,
    loops.round_to_integral,
    "Nearest integral value in the rounding direction.",
    ">>> hs.round_to_integral(np.float16(2.5)), hs.round_to_integral(np.float16(-0.25))\n"
    "(np.float16(2.0), np.float16(-0.0))",
    "The sign is kept; infinities stay; with ``exact=True`` a changed value raises inexact (roundToIntegralExact).",
    "IEEE 754-2019 §5.9",
    "f16_roundToInt",
    options=("exact",),
    flags=_INVALID | Flags.inexact,
)
scaleb = Operation(
    "scaleb",
    "scaleB",
    2,
    loops.scaleb,
    "a * 2**b for an integer b, rounded once.",
    ">>> hs.scaleb(np.float16(1.5), -3)\nnp.float16(0.1875)",
    "Overflow and underflow as for a product; infinities and zeros stay; b of 64 bits, or 32 without sign.",
    "IEEE 754-2019 §5.3.3",
    integers=1,
    flags=_PRODUCT,
)
logb = Operation(
    "logb",
    "logB",
    1,
    loops.logb,
    "Exponent e of a = m * 2**e, 1 <= \\|m\\| < 2, as binary16.",
    ">>> hs.logb(np.array([10, 6e-8], np.float16))\narray([  3., -24.], dtype=float16)",
    "Subnormals count as if normalised; logb(0) is -inf and raises divideByZero; logb(inf) is +inf.",
    "IEEE 754-2019 §5.3.3",
    rounds=False,
    flags=_INVALID | Flags.divideByZero,
)
nextup = Operation(
    "nextup",
    "nextUp",
    1,
    loops.nextup,
    "Least binary16 number greater than a.",
    ">>> hs.nextup(np.float16(0))\nnp.float16(6e-08)",
    "Raises nothing but invalid for a signaling NaN; nextup(-smallest) is -0; not affected by flushing.",
    "IEEE 754-2019 §5.3.1",
    rounds=False,
    flags=_INVALID,
)
nextdown = Operation(
    "nextdown",
    "nextDown",
    1,
    loops.nextdown,
    "Greatest binary16 number less than a.",
    ">>> hs.nextdown(np.float16(np.inf))\nnp.float16(6.55e+04)",
    "-nextup(-a).",
    "IEEE 754-2019 §5.3.1",
    rounds=False,
    flags=_INVALID,
)

# --- Minimum and maximum ----------------------------------------------------------------------------------------------

_2019 = "IEEE 754-2019 §9.6"
_2008 = "IEEE 754-2008 §5.3.1"
_X86 = "Intel SDM [@intel-sdm], VMINSH and VMAXSH"
_PROPAGATE = "A NaN operand gives a NaN; -0 orders below +0."
_NUMBER = "The number beside a NaN, even a signaling one, which raises invalid; -0 orders below +0."
_NUM = "The number beside a quiet NaN; a signaling NaN gives a NaN and raises invalid. -0 orders below +0."
_SECOND = "The second operand if either is a NaN or both are zeros; any NaN raises invalid."
_MAGNITUDE = " Operands of equal magnitude are compared with their signs."


def _extremum(name: str, ieee: str, code: int, special: str, clause: str, example: str) -> Operation:
    """Row of one minimum or maximum."""
    which = "Larger" if code & Extremum.maximum else "Smaller"
    of = "operand by magnitude" if code & Extremum.magnitude else "operand"
    special += _MAGNITUDE if code & Extremum.magnitude else ""
    example = f">>> hs.{name}(np.float16({example.split()[0]}), np.float16({example.split()[1]}))\n{example.split()[2]}"
    return Operation(
        name,
        ieee,
        2,
        loops.extremum,
        f"{which} {of}.",
        example,
        special,
        clause,
        extra=(int(code),),
        rounds=False,
        flags=_INVALID,
    )


_MAX, _MAG = Extremum.maximum, Extremum.magnitude
minimum = _extremum("minimum", "minimum", Extremum.propagate, _PROPAGATE, _2019, "1 np.nan np.float16(nan)")
maximum = _extremum("maximum", "maximum", Extremum.propagate | _MAX, _PROPAGATE, _2019, "-0.0 0 np.float16(0.0)")
minimum_number = _extremum(
    "minimum_number", "minimumNumber", Extremum.number, _NUMBER, _2019, "1 np.nan np.float16(1.0)"
)
maximum_number = _extremum(
    "maximum_number", "maximumNumber", Extremum.number | _MAX, _NUMBER, _2019, "np.nan -2 np.float16(-2.0)"
)
minimum_magnitude = _extremum(
    "minimum_magnitude", "minimumMagnitude", Extremum.propagate | _MAG, _PROPAGATE, _2019, "-1 2 np.float16(-1.0)"
)
maximum_magnitude = _extremum(
    "maximum_magnitude",
    "maximumMagnitude",
    Extremum.propagate | _MAG | _MAX,
    _PROPAGATE,
    _2019,
    "-3 2 np.float16(-3.0)",
)
minimum_magnitude_number = _extremum(
    "minimum_magnitude_number",
    "minimumMagnitudeNumber",
    Extremum.number | _MAG,
    _NUMBER,
    _2019,
    "-1 np.nan np.float16(-1.0)",
)
maximum_magnitude_number = _extremum(
    "maximum_magnitude_number",
    "maximumMagnitudeNumber",
    Extremum.number | _MAG | _MAX,
    _NUMBER,
    _2019,
    "-3 2 np.float16(-3.0)",
)
min_num = _extremum("min_num", "minNum", Extremum.number2008, _NUM, _2008, "1 np.nan np.float16(1.0)")
max_num = _extremum("max_num", "maxNum", Extremum.number2008 | _MAX, _NUM, _2008, "1 2 np.float16(2.0)")
min_num_mag = _extremum("min_num_mag", "minNumMag", Extremum.number2008 | _MAG, _NUM, _2008, "-1 2 np.float16(-1.0)")
max_num_mag = _extremum(
    "max_num_mag", "maxNumMag", Extremum.number2008 | _MAG | _MAX, _NUM, _2008, "-3 2 np.float16(-3.0)"
)
minsh = _extremum("minsh", "x86 minimum", Extremum.second, _SECOND, _X86, "0 -0.0 np.float16(-0.0)")
maxsh = _extremum("maxsh", "x86 maximum", Extremum.second | _MAX, _SECOND, _X86, "np.nan 1 np.float16(1.0)")
