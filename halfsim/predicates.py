"""The operations that give truth values and signs: comparisons, classes, total order, sign-bit operations."""

from __future__ import annotations

import numpy as np

from halfsim.core.compare import Class, Relation
from halfsim.flags import Flags
from halfsim.kernels import elementwise as loops
from halfsim.operation import Operation

__all__ = [
    "absolute",
    "classify",
    "copysign",
    "equal",
    "equal_signaling",
    "greater",
    "greater_equal",
    "greater_equal_quiet",
    "greater_quiet",
    "greater_unordered",
    "greater_unordered_quiet",
    "iscanonical",
    "isfinite",
    "isinf",
    "isnan",
    "isnormal",
    "issignaling",
    "issubnormal",
    "iszero",
    "less",
    "less_equal",
    "less_equal_quiet",
    "less_quiet",
    "less_unordered",
    "less_unordered_quiet",
    "negative",
    "not_equal",
    "not_equal_signaling",
    "not_greater",
    "not_greater_quiet",
    "not_less",
    "not_less_quiet",
    "ordered",
    "signbit",
    "total_order",
    "total_order_mag",
    "unordered",
]

_BOOL = np.dtype(np.bool_)
_LESS, _EQUAL, _GREATER, _UNORDERED = (int(relation) for relation in Relation)
_WORDS = {_LESS: "less than", _GREATER: "greater than", _EQUAL: "equal to"}

# --- Comparisons ------------------------------------------------------------------------------------------------------


def _comparison(name: str, ieee: str, mask: int, testfloat: str = "") -> Operation:
    """Row of one comparison; the IEEE name says whether quiet NaNs signal."""
    signaling = ieee.startswith("compareSignaling")
    relation = " or ".join(words for bit, words in _WORDS.items() if mask & bit)
    unordered = ", or they are unordered" if mask & _UNORDERED else ""
    nan = "any NaN" if signaling else "a signaling NaN"
    return Operation(
        name,
        ieee,
        2,
        loops.compare_relation,
        f"Whether a is {relation} b{unordered}." if relation else "Whether a and b are unordered.",
        f">>> hs.{name}.flagged(np.float16(1), np.float16(np.nan))\n"
        f"Flagged(value=np.{bool(mask & _UNORDERED)}_, flags=np.uint8({16 if signaling else 0}))",
        f"A NaN operand is unordered; {nan} raises invalid. -0 equals +0.",
        "IEEE 754-2019 §5.6.1",
        testfloat,
        _BOOL,
        (mask, int(signaling)),
        rounds=False,
        flags=Flags.invalid,
    )


equal = _comparison("equal", "compareQuietEqual", _EQUAL, "f16_eq")
not_equal = _comparison("not_equal", "compareQuietNotEqual", _LESS | _GREATER | _UNORDERED)
less = _comparison("less", "compareSignalingLess", _LESS, "f16_lt")
less_equal = _comparison("less_equal", "compareSignalingLessEqual", _LESS | _EQUAL, "f16_le")
greater = _comparison("greater", "compareSignalingGreater", _GREATER)
greater_equal = _comparison("greater_equal", "compareSignalingGreaterEqual", _GREATER | _EQUAL)
equal_signaling = _comparison("equal_signaling", "compareSignalingEqual", _EQUAL, "f16_eq_signaling")
not_equal_signaling = _comparison("not_equal_signaling", "compareSignalingNotEqual", _LESS | _GREATER | _UNORDERED)
less_quiet = _comparison("less_quiet", "compareQuietLess", _LESS, "f16_lt_quiet")
less_equal_quiet = _comparison("less_equal_quiet", "compareQuietLessEqual", _LESS | _EQUAL, "f16_le_quiet")
greater_quiet = _comparison("greater_quiet", "compareQuietGreater", _GREATER)
greater_equal_quiet = _comparison("greater_equal_quiet", "compareQuietGreaterEqual", _GREATER | _EQUAL)
not_less = _comparison("not_less", "compareSignalingNotLess", _EQUAL | _GREATER | _UNORDERED)
not_greater = _comparison("not_greater", "compareSignalingNotGreater", _LESS | _EQUAL | _UNORDERED)
less_unordered = _comparison("less_unordered", "compareSignalingLessUnordered", _LESS | _UNORDERED)
greater_unordered = _comparison("greater_unordered", "compareSignalingGreaterUnordered", _GREATER | _UNORDERED)
not_less_quiet = _comparison("not_less_quiet", "compareQuietNotLess", _EQUAL | _GREATER | _UNORDERED)
not_greater_quiet = _comparison("not_greater_quiet", "compareQuietNotGreater", _LESS | _EQUAL | _UNORDERED)
less_unordered_quiet = _comparison("less_unordered_quiet", "compareQuietLessUnordered", _LESS | _UNORDERED)
greater_unordered_quiet = _comparison("greater_unordered_quiet", "compareQuietGreaterUnordered", _GREATER | _UNORDERED)
unordered = _comparison("unordered", "compareQuietUnordered", _UNORDERED)
ordered = _comparison("ordered", "compareQuietOrdered", _LESS | _EQUAL | _GREATER)

total_order = Operation(
    "total_order",
    "totalOrder",
    2,
    loops.total_order,
    "Whether a precedes or equals b in the total order of all patterns.",
    ">>> hs.total_order(np.float16(-0.0), np.float16(0)), hs.total_order(np.float16(0), np.float16(-0.0))\n"
    "(np.True_, np.False_)",
    "-NaN < -inf < ... < -0 < +0 < ... < inf < NaN; of positive NaNs the signaling ones and smaller payloads first.",
    "IEEE 754-2019 §5.10",
    dtype=_BOOL,
    extra=(0,),
    rounds=False,
)
total_order_mag = Operation(
    "total_order_mag",
    "totalOrderMag",
    2,
    loops.total_order,
    "Whether \\|a\\| precedes or equals \\|b\\| in the total order.",
    ">>> hs.total_order_mag(np.float16(1), np.float16(-2))\nnp.True_",
    "Signs are ignored, of NaNs too.",
    "IEEE 754-2019 §5.10",
    dtype=_BOOL,
    extra=(1,),
    rounds=False,
)

# --- Classes ----------------------------------------------------------------------------------------------------------


def _predicate(name: str, ieee: str, classes: tuple[Class, ...], example: str) -> Operation:
    """Row of one class predicate: the set of classes for which it holds."""
    members = ", ".join(member.name for member in classes)
    return Operation(
        name,
        ieee,
        1,
        loops.is_class,
        f"Whether a is one of: {members}." if len(classes) < len(Class) else "Whether a is canonical: always true.",
        f">>> hs.{name}(np.float16({example}))\nnp.True_",
        "Signaling NaNs raise nothing.",
        "IEEE 754-2019 §5.7.2",
        dtype=_BOOL,
        extra=(sum(1 << member for member in classes),),
        rounds=False,
    )


_NANS = (Class.signalingNaN, Class.quietNaN)
_INFINITIES = (Class.negativeInfinity, Class.positiveInfinity)
_NORMALS = (Class.negativeNormal, Class.positiveNormal)
_SUBNORMALS = (Class.negativeSubnormal, Class.positiveSubnormal)
_ZEROS = (Class.negativeZero, Class.positiveZero)

isnan = _predicate("isnan", "isNaN", _NANS, "np.nan")
issignaling = Operation(
    "issignaling",
    "isSignaling",
    1,
    loops.is_class,
    "Whether a is a signaling NaN.",
    ">>> hs.issignaling(hs.from_bits([0x7C01, 0x7E01]))\narray([ True, False])",
    "A signaling NaN raises nothing.",
    "IEEE 754-2019 §5.7.2",
    dtype=_BOOL,
    extra=(1 << Class.signalingNaN,),
    rounds=False,
)
isinf = _predicate("isinf", "isInfinite", _INFINITIES, "-np.inf")
isfinite = _predicate("isfinite", "isFinite", (*_NORMALS, *_SUBNORMALS, *_ZEROS), "65504")
isnormal = _predicate("isnormal", "isNormal", _NORMALS, "1")
issubnormal = _predicate("issubnormal", "isSubnormal", _SUBNORMALS, "1e-7")
iszero = _predicate("iszero", "isZero", _ZEROS, "-0.0")
iscanonical = _predicate("iscanonical", "isCanonical", tuple(Class), "np.nan")
classify = Operation(
    "classify",
    "class",
    1,
    loops.classify,
    "The `Class` of a, as its number.",
    ">>> hs.Class(hs.classify(np.float16(-1e-7))).name\n'negativeSubnormal'",
    "A signaling NaN raises nothing.",
    "IEEE 754-2019 §5.7.2",
    dtype=np.dtype(np.uint8),
    rounds=False,
)

# --- Sign bit ---------------------------------------------------------------------------------------------------------

_SIGN = "IEEE 754-2019 §5.5.1"
_QUIET = "Only the sign bit changes, of a signaling NaN too, which raises nothing."
signbit = Operation(
    "signbit",
    "isSignMinus",
    1,
    loops.signbit,
    "Whether the sign bit of a is set.",
    ">>> hs.signbit(np.float16(-0.0))\nnp.True_",
    "True for -0 and negative NaNs.",
    "IEEE 754-2019 §5.7.2",
    dtype=_BOOL,
    rounds=False,
)
negative = Operation(
    "negative",
    "negate",
    1,
    loops.negative,
    "a with its sign reversed.",
    ">>> hs.negative(np.float16(0))\nnp.float16(-0.0)",
    _QUIET,
    _SIGN,
    rounds=False,
)
absolute = Operation(
    "absolute",
    "abs",
    1,
    loops.absolute,
    "a with a positive sign.",
    ">>> hs.absolute(np.float16(-2))\nnp.float16(2.0)",
    _QUIET,
    _SIGN,
    rounds=False,
)
copysign = Operation(
    "copysign",
    "copySign",
    2,
    loops.copysign,
    "a with the sign of b.",
    ">>> hs.copysign(np.float16(3), np.float16(-0.0))\nnp.float16(-3.0)",
    _QUIET,
    _SIGN,
    rounds=False,
)
